//! Every public type can be sent to, and shared with, another thread: compiling this is the test.

use mantex::{Axis, Error, Isa, IsaName, MatMut, MatRef};

const fn is_send_and_sync<T: Send + Sync>() {}

macro_rules! send_and_sync {
    ($($type:ty),* $(,)?) => {
        const _: () = {
            $(is_send_and_sync::<$type>();)*
        };
    };
}

send_and_sync!(Axis, Error, Isa, IsaName, MatRef<'_, f32>, MatRef<'_, f64>, MatMut<'_, f32>, MatMut<'_, f64>, f32, f64);

#[cfg(feature = "softmax")]
send_and_sync!(mantex::ExtSum<f32>, mantex::ExtSum<f64>, mantex::Softmax<'_, f32>, mantex::Softmax<'_, f64>);

#[cfg(any(feature = "transport", feature = "medoids"))]
send_and_sync!(mantex::Metric);

#[cfg(feature = "transport")]
mod transport {
    use super::is_send_and_sync;
    use mantex::{Sinkhorn, transport::*};

    send_and_sync!(
        Sinkhorn,
        Method,
        OverRelaxation,
        EpsilonScaling,
        Objective,
        PlanEntries<'_, f64>,
        PlanEntry<f64>,
        PlanRows<'_, f64>,
        Progress,
        Transport<f32>,
        Transport<f64>,
        TransportBatch<f32>,
        TransportBatch<f64>,
    );
}

#[cfg(feature = "sparse-transport")]
mod sparse_transport {
    use super::is_send_and_sync;
    use mantex::transport::{SparseProgress, SparseSolution, SparseTransport};

    send_and_sync!(SparseTransport, SparseProgress, SparseSolution<f32>, SparseSolution<f64>);
}

#[cfg(feature = "medoids")]
mod medoids {
    use super::is_send_and_sync;
    use mantex::{KMedoids, medoids::*};

    send_and_sync!(KMedoids, Algorithm, Init, Clustering, Progress);
}
