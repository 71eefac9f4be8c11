//! The data that [`KMedoids`] and [`Clustering`] are written to and read from.

use super::clustering::{Clustering, Counts};
use super::{Algorithm, Init, KMedoids};
use crate::dispatch::Road;
use crate::{Error, Isa};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The options of [`KMedoids`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KMedoidsData {
    k: usize,
    #[serde(default)]
    algorithm: Algorithm,
    #[serde(default)]
    init: Init,
    #[serde(default)]
    max_iterations: Option<usize>,
    #[serde(default)]
    isa: Option<Isa>,
}

impl From<KMedoids> for KMedoidsData {
    fn from(options: KMedoids) -> Self {
        let KMedoids { k, algorithm, init, max_iterations, road } = options;
        Self { k, algorithm, init, max_iterations, isa: road.isa }
    }
}

impl TryFrom<KMedoidsData> for KMedoids {
    type Error = Error;

    fn try_from(data: KMedoidsData) -> Result<Self, Error> {
        let KMedoidsData { k, algorithm, init, max_iterations, isa } = data;
        if k == 0 {
            return Err(Error::MedoidCountOutOfRange { k, objects: usize::MAX });
        }
        if let Init::Given(medoids) = &init {
            crate::check::length("medoids", medoids.len(), k)?;
            check_distinct(medoids)?;
        }
        Ok(Self { k, algorithm, init, max_iterations, road: isa.map_or(Road::BEST, Road::on) })
    }
}

/// The content of a [`Clustering`]. The instruction set is left out: another machine may read it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusteringData {
    medoids: Vec<usize>,
    labels: Vec<usize>,
    loss: f64,
    swaps: usize,
    iterations: usize,
    evaluated: usize,
    converged: bool,
}

impl From<Clustering> for ClusteringData {
    fn from(clustering: Clustering) -> Self {
        let Clustering { medoids, labels, loss, counts, road: _ } = clustering;
        let Counts { swaps, iterations, evaluated, converged } = counts;
        Self { medoids, labels, loss, swaps, iterations, evaluated, converged }
    }
}

impl TryFrom<ClusteringData> for Clustering {
    type Error = Error;

    fn try_from(data: ClusteringData) -> Result<Self, Error> {
        let ClusteringData { medoids, labels, loss, swaps, iterations, evaluated, converged } = data;
        let (k, objects) = (medoids.len(), labels.len());
        if k == 0 || k > objects {
            return Err(Error::MedoidCountOutOfRange { k, objects });
        }
        if let Some(&medoid) = medoids.iter().find(|medoid| **medoid >= objects) {
            return Err(Error::MedoidOutOfRange { medoid, objects });
        }
        check_distinct(&medoids)?;
        let own_label = medoids.iter().enumerate().find(|(cluster, medoid)| labels[**medoid] != *cluster);
        let other_label = labels.iter().enumerate().find(|(_, label)| **label >= k).map(|(object, _)| object);
        if let Some(object) = own_label.map(|(_, medoid)| *medoid).or(other_label) {
            return Err(Error::LabelOutOfRange { object, label: labels[object], objects: k });
        }
        if !(0.0..f64::INFINITY).contains(&loss) {
            let (argument, expected) = ("loss", "finite and not negative");
            return Err(Error::InvalidParameter { argument, value: loss, expected });
        }
        let counts = Counts { swaps, iterations, evaluated, converged };
        Ok(Self { medoids, labels, loss, counts, road: Road::BEST })
    }
}

/// Fails if a medoid is given twice.
fn check_distinct(medoids: &[usize]) -> Result<(), Error> {
    let mut sorted = medoids.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::DuplicateMedoid { medoid: pair[0] }),
        None => Ok(()),
    }
}
