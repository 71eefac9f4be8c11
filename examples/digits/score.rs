//! How well a clustering agrees with known labels.

/// How many objects each pair of (cluster, label) has in common: clusters x labels.
fn contingency(clusters: &[usize], truth: &[usize]) -> Vec<Vec<usize>> {
    let size = |ids: &[usize]| ids.iter().max().map_or(0, |max| max + 1);
    let mut table = vec![vec![0; size(truth)]; size(clusters)];
    for (&cluster, &label) in clusters.iter().zip(truth) {
        table[cluster][label] += 1;
    }
    table
}

/// The adjusted Rand index (Hubert and Arabie 1985): 1 for the same partition, about 0 for an
/// unrelated one.
pub(crate) fn adjusted_rand_index(clusters: &[usize], truth: &[usize]) -> f64 {
    let pairs = |count: usize| (count * count.saturating_sub(1)) as f64 / 2.0;
    let table = contingency(clusters, truth);
    let labels = table.first().map_or(0, Vec::len);
    let both: f64 = table.iter().flatten().map(|&c| pairs(c)).sum();
    let rows: f64 = table.iter().map(|row| pairs(row.iter().sum())).sum();
    let columns: f64 = (0..labels).map(|l| pairs(table.iter().map(|row| row[l]).sum())).sum();
    let chance = rows * columns / pairs(clusters.len()).max(1.0);
    let best = (rows + columns) / 2.0;
    // Both partitions are trivial in the same way.
    if best == chance { 1.0 } else { (both - chance) / (best - chance) }
}

/// The share of objects whose label is the most frequent one of their cluster.
pub(crate) fn purity(clusters: &[usize], truth: &[usize]) -> f64 {
    let table = contingency(clusters, truth);
    let majority: usize = table.iter().filter_map(|row| row.iter().max()).sum();
    majority as f64 / clusters.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_partitions_score_one_whatever_their_names() {
        let (a, b) = ([0, 0, 1, 1, 2], [2, 2, 0, 0, 1]);
        assert_eq!(adjusted_rand_index(&a, &b), 1.0);
        assert_eq!(purity(&a, &b), 1.0);
        assert_eq!(adjusted_rand_index(&[0, 0, 0], &[1, 1, 1]), 1.0);
        assert_eq!(adjusted_rand_index(&[0, 1, 2], &[2, 1, 0]), 1.0);
    }

    #[test]
    fn known_values() {
        // By hand: of 6 pairs, 1 is together in the one partition, 2 in the other, 1 in both.
        let ari = adjusted_rand_index(&[0, 0, 1, 2], &[0, 0, 1, 1]);
        approx::assert_relative_eq!(ari, 4.0 / 7.0, max_relative = 1e-12);
        let ari = adjusted_rand_index(&[0, 0, 1, 1], &[0, 1, 0, 1]);
        approx::assert_relative_eq!(ari, -0.5, max_relative = 1e-12);
        assert_eq!(purity(&[0, 0, 0, 1], &[1, 1, 0, 0]), 0.75);
        assert_eq!(purity(&[], &[]), 0.0);
    }
}
