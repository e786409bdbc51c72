//! Groups and their order: what depends on what, over positions in a merged script.
//!
//! OTP leaves the order of independent modules to hashing inside the runtime; here the position decides, so that a plan is
//! the same every time.

use std::collections::BTreeSet;

/// Dependencies between the nodes `0..n`: an edge leads from a node to one that it needs.
#[derive(Debug)]
pub(crate) struct Graph {
    edges: Vec<BTreeSet<usize>>,
}

impl Graph {
    /// Makes a graph of the edges that leave each node.
    pub(crate) fn new(edges: Vec<BTreeSet<usize>>) -> Self {
        Self { edges }
    }

    /// Returns for every node the first node of its group: of those connected with it, whatever the direction.
    pub(crate) fn groups(&self) -> Vec<usize> {
        let mut neighbours = self.edges.clone();
        for (from, to) in self.each_edge() {
            neighbours[to].insert(from);
        }
        let mut group = vec![usize::MAX; neighbours.len()];
        for node in 0..neighbours.len() {
            if group[node] == usize::MAX {
                reachable(&neighbours, node).into_iter().for_each(|member| group[member] = node);
            }
        }
        group
    }

    /// Returns all nodes, each before what it needs; the members of a cycle together, by position; else by position.
    pub(crate) fn order(&self) -> Vec<usize> {
        let cycle = self.cycle_of();
        let mut needed_by = vec![BTreeSet::new(); self.edges.len()];
        for (from, to) in self.each_edge().filter(|(from, to)| cycle[*from] != cycle[*to]) {
            needed_by[cycle[to]].insert(cycle[from]);
        }
        let mut waiting: BTreeSet<usize> = cycle.iter().copied().collect();
        let mut order = Vec::new();
        // Every round takes one cycle out, as there is always one that nothing needs.
        while let Some(next) = waiting.iter().copied().find(|node| needed_by[*node].is_disjoint(&waiting)) {
            waiting.remove(&next);
            order.extend((next..cycle.len()).filter(|node| cycle[*node] == next));
        }
        order
    }

    /// Returns the cycles of more than one node.
    pub(crate) fn cycles(&self) -> Vec<Vec<usize>> {
        let cycle = self.cycle_of();
        let members = |first| (first..cycle.len()).filter(|node| cycle[*node] == first).collect::<Vec<_>>();
        (0..cycle.len()).map(members).filter(|members| members.len() > 1).collect()
    }

    /// Returns for every node the first node of the cycle it is in, or the node itself.
    fn cycle_of(&self) -> Vec<usize> {
        let reach: Vec<_> = (0..self.edges.len()).map(|node| reachable(&self.edges, node)).collect();
        let first = |node: usize| reach[node].iter().copied().find(|other| reach[*other].contains(&node));
        (0..self.edges.len()).map(|node| first(node).unwrap_or(node)).collect()
    }

    fn each_edge(&self) -> impl Iterator<Item = (usize, usize)> {
        self.edges.iter().enumerate().flat_map(|(from, tos)| tos.iter().map(move |to| (from, *to)))
    }
}

/// Returns every node that can be reached from a node, itself included.
fn reachable(edges: &[BTreeSet<usize>], node: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([node]);
    let mut next = vec![node];
    while let Some(node) = next.pop() {
        next.extend(edges[node].iter().copied().filter(|to| found.insert(*to)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(edges: &[&[usize]], groups: &[usize], order: &[usize]) {
        let graph = Graph::new(edges.iter().map(|tos| tos.iter().copied().collect()).collect());
        assert_eq!(graph.groups(), groups);
        assert_eq!(graph.order(), order);
    }

    #[test]
    fn independent_nodes_keep_their_positions() {
        check(&[&[], &[], &[]], &[0, 1, 2], &[0, 1, 2]);
    }

    #[test]
    fn a_node_comes_before_what_it_needs() {
        check(&[&[], &[0], &[1]], &[0, 0, 0], &[2, 1, 0]);
    }

    #[test]
    fn a_cycle_stays_together_in_order_of_position() {
        check(&[&[2], &[2], &[1]], &[0, 0, 0], &[0, 1, 2]);
        check(&[&[1], &[0], &[0]], &[0, 0, 0], &[2, 0, 1]);
    }

    #[test]
    fn a_node_may_need_itself() {
        check(&[&[0], &[]], &[0, 1], &[0, 1]);
    }
}
