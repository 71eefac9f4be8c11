//! One long row in parts, which several threads compute. A part is some of the blocks of
//! [`BLOCK_ELEMENTS`]; only the last block may be shorter. Sums and results have the bits of the
//! whole row.

use super::beside_max::Logarithm;
use super::ext_sum::ExtSum;
use super::forward::{scale_stored, write_recomputed};
use super::log_rows::{MIN_LOG_SUM_EXP, two_parts, write_log_softmax};
use super::logarithms::{row_logarithm, sum_logarithm};
use super::sum_exp::{BaseOne, BlockSum, RowSum, add_blocks, block_sum_exp, row_sum_exp};
use super::base_one::may_fit_base_one;
use super::tuning::{BLOCK_ELEMENTS, Tuning};
use crate::kernels::lanes::{Float, out_of_line};
use crate::kernels::math::exp::{Exp, ExpLanes, Recorded, Shifted};
use crate::kernels::rows::{Row, SrcDst, fills_cache};
