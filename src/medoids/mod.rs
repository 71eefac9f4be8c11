//! k-medoids clustering: everything around [`KMedoids`].
//!
//! [`KMedoids`] clusters objects by a matrix of dissimilarities.
//! [`distance_matrix`](crate::distance_matrix) computes such a matrix from points, and
//! [`expand_condensed`] expands its upper triangle. [`Clustering`] is the result.
//! [`silhouette`](silhouette()) and [`medoid_silhouette`] measure its quality;
//! [`silhouette_weighted`] and [`medoid_silhouette_weighted`] do for objects with weights.
//! [`Clustering::predict`] and [`assign`](assign()) find the clusters of new objects.

mod alternating;
mod assign;
mod cache;
mod clustering;
mod condensed;
mod dissimilarities;
mod distributed;
mod init;
mod input;
mod kmedoids;
mod layout;
mod options;
mod ranking;
mod replicas;
mod scanned;
mod search;
#[cfg(feature = "serde")]
mod serde;
mod silhouette;
#[cfg(feature = "rayon")]
mod threads;
mod verify;

pub use assign::assign;
pub use clustering::{Clustering, Progress};
pub use condensed::expand_condensed;
pub use kmedoids::KMedoids;
pub use layout::rows_of_rank;
pub use options::{Algorithm, Init};
pub use silhouette::{medoid_silhouette, medoid_silhouette_weighted, silhouette, silhouette_weighted};
