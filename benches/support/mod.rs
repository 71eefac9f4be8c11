//! The tools that the benches share: memory, clocks, records, the machine; one file each.

#![allow(dead_code, reason = "every bench compiles all of it and uses a part")]

pub(crate) mod arguments;
pub(crate) mod buffers;
pub(crate) mod date;
pub(crate) mod json;
pub(crate) mod levels;
pub(crate) mod machine;
pub(crate) mod problems;
pub(crate) mod program;
pub(crate) mod record;
pub(crate) mod records;
pub(crate) mod report;
pub(crate) mod timing;
pub(crate) mod uniform;
