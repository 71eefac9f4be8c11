//! Options and results as data: what is written is read back, and invalid data are errors.

use mantex::{Isa, KMedoids, MatRef, Metric, Sinkhorn, SparseTransport, medoids::*, transport::*};
use serde_json::{Value, from_str, from_value, json, to_string, to_value};
use std::fmt::Debug;

/// Writes and reads a value: as text, and as data.
fn assert_round_trip<T>(value: &T)
where
    T: serde::Serialize + for<'de> serde::Deserialize<'de> + PartialEq + Debug,
{
    let text = to_string(value).expect("it is data");
    assert_eq!(&from_str::<T>(&text).expect("what was written"), value, "{text}");
    assert_eq!(&from_value::<T>(to_value(value).expect("it is data")).expect("what was written"), value);
}

/// Fails unless each change of the data of `value` makes it invalid.
fn assert_invalid<T>(value: &T, changes: &[(&str, Value)])
where
    T: serde::Serialize + for<'de> serde::Deserialize<'de> + Debug,
{
    let data = to_value(value).expect("it is data");
    from_value::<T>(data.clone()).expect("what was written");
    for (path, new) in changes {
        let mut changed = data.clone();
        *changed.pointer_mut(path).unwrap_or_else(|| panic!("no {path} in {data}")) = new.clone();
        from_value::<T>(changed).expect_err(path);
    }
    let mut longer = data;
    longer["unknown"] = json!(1);
    from_value::<T>(longer).expect_err("an unknown field");
}

#[test]
fn options_are_read_back() {
    for method in [Method::Log, Method::Scaling, Method::Auto, Method::Newton] {
        assert_round_trip(&method);
    }
    for relaxation in [OverRelaxation::Auto, OverRelaxation::Off, OverRelaxation::Factor(1.5)] {
        assert_round_trip(&relaxation);
    }
    for scaling in [EpsilonScaling::Auto, EpsilonScaling::Off, EpsilonScaling::Factor(4.0)] {
        assert_round_trip(&scaling);
    }
    for seed in [0, u64::MAX] {
        let algorithms = [Algorithm::FasterPam, Algorithm::RandomFasterPam { seed }, Algorithm::Alternating];
        algorithms.iter().for_each(assert_round_trip);
        let inits = [Init::Build, Init::Lab { seed }, Init::PlusPlus { seed }, Init::Given(vec![3, 0])];
        inits.iter().for_each(assert_round_trip);
    }
    assert_round_trip(&Metric::CosineOrOne);
    assert_round_trip(&Status::Infeasible);
    assert_round_trip(&Sinkhorn::new(0.1));
    let start = (vec![0.25, f64::NEG_INFINITY], vec![-1.0]);
    let sinkhorn = Sinkhorn::new(1e-3).tolerance(0.0).memory_limit(7).max_iterations(0).method(Method::Scaling);
    let sinkhorn = sinkhorn.over_relaxation(OverRelaxation::Factor(1.9)).epsilon_scaling(EpsilonScaling::Factor(2.0));
    assert_round_trip(&sinkhorn.warm_start(start.0, start.1));
    assert_round_trip(&SparseTransport::new(1e-3).max_entries_per_row(2).tolerance(0.0).max_iterations(0));
    assert_round_trip(&KMedoids::new(5).algorithm(Algorithm::FastPam1));
    assert_round_trip(&KMedoids::new(2).init(Init::Given(vec![9, 4])).max_iterations(3));
    for isa in Isa::available() {
        assert_round_trip(&isa);
        assert_eq!(to_value(isa).expect("a name"), json!(isa.name()));
        assert_round_trip(&Sinkhorn::new(0.1).isa(isa));
        assert_round_trip(&KMedoids::new(1).isa(isa));
        assert_round_trip(&SparseTransport::new(0.1).isa(isa));
    }
    // Only what has no default must be given.
    assert_eq!(from_str::<Sinkhorn>(r#"{"epsilon": 0.1}"#).expect("options"), Sinkhorn::new(0.1));
    assert_eq!(from_str::<KMedoids>(r#"{"k": 3}"#).expect("options"), KMedoids::new(3));
    assert_eq!(from_str::<SparseTransport>(r#"{"gamma": 0.1}"#).expect("options"), SparseTransport::new(0.1));
}

#[test]
fn invalid_options_are_errors() {
    for text in [r#"{"factor": 2.0}"#, r#"{"factor": 0.0}"#, r#"{"factor": -1}"#, r#""best""#] {
        from_str::<OverRelaxation>(text).expect_err(text);
    }
    for text in [r#"{"factor": 1.0}"#, r#"{"factor": null}"#] {
        from_str::<EpsilonScaling>(text).expect_err(text);
    }
    for text in [r#""sse""#, r#""""#, "1"] {
        from_str::<Isa>(text).expect_err(text);
    }
    let changes = [
        ("/epsilon", json!(0.0)),
        ("/epsilon", json!(-1.0)),
        ("/epsilon", json!(null)),
        ("/tolerance", json!(-1e-9)),
        ("/over_relaxation", json!({"factor": 3.0})),
        ("/epsilon_scaling", json!({"factor": 0.5})),
        ("/isa", json!("sse")),
        ("/max_iterations", json!(-1)),
    ];
    assert_invalid(&Sinkhorn::new(0.1), &changes);
    let changes = [("/k", json!(0)), ("/k", json!(3)), ("/init/given", json!([1, 1])), ("/init/given", json!([1]))];
    assert_invalid(&KMedoids::new(2).init(Init::Given(vec![0, 1])), &changes);
    let changes = [
        ("/gamma", json!(0.0)),
        ("/gamma", json!(1e201)),
        ("/gamma", json!(null)),
        ("/max_entries_per_row", json!(0)),
        ("/tolerance", json!(-1.0)),
        ("/isa", json!("sse")),
        ("/max_iterations", json!(1.5)),
    ];
    assert_invalid(&SparseTransport::new(0.1), &changes);
}

#[test]
fn solutions_are_read_back() {
    let cost = [0.0_f64, 1.0, 4.0, 1.0, 0.0, 1.0, 2.0, 2.0, 2.0];
    let cost = MatRef::new(&cost, 3, 3).expect("3 x 3");
    let (a, b) = ([1.0, 0.0, 2.0], [1.5, 1.5, 0.0]);
    let transport = Sinkhorn::new(0.05).solve(cost, &a, &b).expect("a problem");
    assert_round_trip(&transport);
    let read: Transport<f64> = from_str(&to_string(&transport).expect("data")).expect("what was written");
    assert_eq!((read.f(), read.g()), (transport.f(), transport.g()));
    assert_eq!(read.f()[1], f64::NEG_INFINITY);
    let objective = transport.objective(cost).expect("a problem");
    assert_eq!(read.objective(cost), Ok(objective));
    assert_round_trip(&objective);
    let changes = [
        ("/status", json!("fine")),
        ("/marginal_error", json!(-1.0)),
        ("/cost", json!(null)),
        ("/eta", json!(0.0)),
        ("/eta", json!(1e-320)),
        ("/total_mass", json!(-3.0)),
        ("/a", json!([1.0, 1.0, 0.0])),
        ("/a/1", json!(-1.0)),
        ("/a/2", json!(0.0)),
        ("/b/0", json!(2.0)),
        ("/row_potentials", json!([1.0])),
        ("/row_potentials/0", json!(1e300)),
        ("/column_potentials/0", json!(null)),
        ("/column_potentials/2", json!(1.0)),
        ("/column_potentials", json!([])),
    ];
    assert_invalid(&transport, &changes);
    let cost = [0.0_f32, 1.0, 1.0, 0.0];
    let cost = MatRef::new(&cost, 2, 2).expect("2 x 2");
    assert_round_trip(&Sinkhorn::new(0.5).solve(cost, &[0.3, 0.7], &[0.5, 0.5]).expect("a problem"));
    let (a, b) = ([0.3_f32, 0.7, 1.0, 0.0], [0.5_f32, 0.5]);
    let (a, b) = (MatRef::new(&a, 2, 2).expect("2 x 2"), MatRef::new(&b, 1, 2).expect("1 x 2"));
    let batch = Sinkhorn::new(0.5).solve_batch(cost, a, b).expect("problems");
    assert_round_trip(&batch);
    let changes = [
        ("/rows", json!(3)),
        ("/columns", json!(usize::MAX)),
        ("/f/0", json!("x")),
        ("/iterations", json!([1])),
        ("/marginal_errors/0", json!(-1.0)),
        ("/values/0", json!(null)),
        ("/statuses", json!([])),
    ];
    assert_invalid(&batch, &changes);
}

#[test]
fn sparse_solutions_are_read_back() {
    let cost = [0.0_f64, 1.0, 4.0, 1.0, 0.0, 1.0, 2.0, 2.0, 2.0];
    let cost = MatRef::new(&cost, 3, 3).expect("3 x 3");
    let (a, b) = ([1.0, 0.0, 2.0], [1.5, 1.5, 0.0]);
    let solution = SparseTransport::new(0.1).solve(cost, &a, &b).expect("a problem");
    assert_round_trip(&solution);
    let read: SparseSolution<f64> = from_str(&to_string(&solution).expect("data")).expect("what was written");
    assert_eq!((read.f(), read.g(), read.value()), (solution.f(), solution.g(), solution.value()));
    assert_eq!((read.f()[1], read.g()[2]), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    assert_eq!(solution.plan().row_pointers, [0, 1, 1, 3]);
    let plan = [
        ("/rows", json!(2)),
        ("/rows", json!(usize::MAX)),
        ("/cols", json!(1)),
        ("/row_pointers", json!([])),
        ("/row_pointers/0", json!(1)),
        ("/row_pointers/1", json!(4)),
        ("/row_pointers/2", json!(0)),
        ("/row_pointers/3", json!(2)),
        ("/columns", json!([0, 1])),
        ("/columns/0", json!(3)),
        ("/columns/0", json!(-1)),
        ("/columns/1", json!(1)),
        ("/columns/2", json!(0)),
        ("/masses", json!([1.0])),
        ("/masses/0", json!(-1.0)),
        ("/masses/2", json!(null)),
    ];
    assert_round_trip(solution.plan());
    assert_invalid(solution.plan(), &plan);
    let changes = [
        ("/status", json!("fine")),
        ("/marginal_error", json!(-1.0)),
        ("/cost", json!(null)),
        ("/value", json!(null)),
        ("/dual_value", json!(null)),
        ("/f", json!([1.0])),
        ("/f/0", json!(null)),
        ("/g/0", json!("x")),
        ("/g/1", json!(null)),
        ("/g", json!([])),
    ];
    assert_invalid(&solution, &changes);
    let in_plan: Vec<_> = plan.iter().map(|(path, new)| (format!("/plan{path}"), new.clone())).collect();
    let in_plan: Vec<_> = in_plan.iter().map(|(path, new)| (path.as_str(), new.clone())).collect();
    assert_invalid(&solution, &in_plan);
    let mut empty = to_value(&solution).expect("data");
    (empty["f"], empty["plan"]["rows"]) = (json!([]), json!(0));
    (empty["plan"]["row_pointers"], empty["plan"]["columns"]) = (json!([0]), json!([]));
    empty["plan"]["masses"] = json!([]);
    from_value::<CsrPlan<f64>>(empty["plan"].clone()).expect("a plan of no rows");
    from_value::<SparseSolution<f64>>(empty).expect_err("a solution of no rows");
    let cost = [0.0_f32, 1.0, 1.0, 0.0];
    let cost = MatRef::new(&cost, 2, 2).expect("2 x 2");
    assert_round_trip(&SparseTransport::new(0.5).solve(cost, &[0.3, 0.7], &[0.5, 0.5]).expect("a problem"));
    let transport = Sinkhorn::new(0.5).solve(cost, &[0.3, 0.7], &[0.5, 0.5]).expect("a problem");
    assert_round_trip(&transport.plan_csr(cost, 0.1).expect("a threshold"));
}

#[test]
fn clusterings_are_read_back() {
    let x = [0.0_f64, 0.1, 0.2, 7.0, 7.1, 7.3];
    let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
    let clustering = KMedoids::new(2).fit(MatRef::new(&d, 6, 6).expect("6 x 6")).expect("a matrix");
    assert_round_trip(&clustering);
    let to_medoids = MatRef::new(&[1.0, 2.0], 1, 2).expect("1 x 2");
    let read: Clustering = from_str(&to_string(&clustering).expect("data")).expect("what was written");
    assert_eq!(read.predict(to_medoids), clustering.predict(to_medoids));
    let other = clustering.medoids()[1];
    let changes = [
        ("/medoids", json!([])),
        ("/medoids/0", json!(6)),
        ("/medoids/0", json!(other)),
        ("/labels/0", json!(2)),
        ("/labels", json!([0, 0, 0, 0, 0, 0])),
        ("/labels", json!([0])),
        ("/loss", json!(-1.0)),
        ("/loss", json!(null)),
    ];
    assert_invalid(&clustering, &changes);
}
