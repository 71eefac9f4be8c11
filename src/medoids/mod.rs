//! k-medoids clustering of dissimilarities, the quality of clusters, and the clusters of new objects.

mod assign;
mod cache;
mod condensed;
mod init;
mod kmedoids;
mod search;
mod silhouette;

pub use assign::assign;
pub use condensed::expand_condensed;
pub use kmedoids::{Algorithm, Clustering, Init, KMedoids, KMedoidsProgress};
pub use silhouette::{medoid_silhouette, silhouette};
