//! Finds groups and their order in a dependency graph. The nodes are positions in a merged script.
//!
//! In OTP, the order of independent modules depends on hashing in the runtime. Here the position
//! decides, so the same documents always give the same plan.

use std::collections::{BTreeMap, BTreeSet};

/// Dependencies between the nodes `0..n`. An edge leads from a node to a node that it needs.
#[derive(Debug)]
pub(crate) struct Graph {
    edges: Vec<BTreeSet<usize>>,
}

impl Graph {
    /// Creates a graph from the outgoing edges of each node.
    pub(crate) fn new(edges: Vec<BTreeSet<usize>>) -> Self {
        Self { edges }
    }

    /// Returns, for each node, the first node of its group. A group consists of all nodes that are
    /// connected in either direction.
    pub(crate) fn groups(&self) -> Vec<usize> {
        let mut neighbours = vec![Vec::new(); self.edges.len()];
        for (from, to) in self.each_edge() {
            neighbours[from].push(to);
            neighbours[to].push(from);
        }
        let (mut found, mut group) = (vec![false; neighbours.len()], vec![0; neighbours.len()]);
        for node in 0..neighbours.len() {
            search(&neighbours, node, &mut found).into_iter().for_each(|member| group[member] = node);
        }
        group
    }

    /// Returns all nodes, each before the nodes that it needs. The members of a cycle are adjacent.
    /// Members of a cycle and independent nodes are sorted by position.
    pub(crate) fn order(&self) -> Vec<usize> {
        let cycle = self.cycle_of();
        let (mut needs, mut users) = (vec![Vec::new(); cycle.len()], vec![0_usize; cycle.len()]);
        for (from, to) in self.each_edge().map(|(from, to)| (cycle[from], cycle[to])) {
            if from != to {
                needs[from].push(to);
                users[to] += 1;
            }
        }
        let members = members(&cycle);
        let mut unneeded: BTreeSet<usize> =
            members.keys().copied().filter(|first| users[*first] == 0).collect();
        let mut order = Vec::new();
        while let Some(next) = unneeded.pop_first() {
            order.extend(&members[&next]);
            for needed in needs[next].iter().copied() {
                users[needed] -= 1;
                unneeded.extend((users[needed] == 0).then_some(needed));
            }
        }
        order
    }

    /// Returns the cycles of more than one node.
    pub(crate) fn cycles(&self) -> Vec<Vec<usize>> {
        members(&self.cycle_of()).into_values().filter(|members| members.len() > 1).collect()
    }

    /// Returns, for each node, the first node of its cycle, or the node itself if it is in no
    /// cycle.
    ///
    /// Kosaraju's algorithm. A search along the edges gives the order in which the search finishes
    /// the nodes. The second search runs against the edges and starts at the nodes in reverse
    /// finishing order. The nodes that it newly finds from one start are a cycle.
    fn cycle_of(&self) -> Vec<usize> {
        let mut users = vec![Vec::new(); self.edges.len()];
        self.each_edge().for_each(|(from, to)| users[to].push(from));
        let mut found = vec![false; self.edges.len()];
        let mut cycle: Vec<usize> = (0..self.edges.len()).collect();
        for node in self.left().into_iter().rev() {
            let members = search(&users, node, &mut found);
            let first = members.iter().copied().min().unwrap_or(node);
            members.into_iter().for_each(|member| cycle[member] = first);
        }
        cycle
    }

    /// Returns the nodes in the finishing order of a search along the edges.
    fn left(&self) -> Vec<usize> {
        let (mut seen, mut left) = (vec![false; self.edges.len()], Vec::new());
        for start in 0..self.edges.len() {
            let mut path = Vec::new();
            let mut next = (!std::mem::replace(&mut seen[start], true)).then_some(start);
            loop {
                path.extend(next.map(|node| (node, self.edges[node].iter())));
                let Some((node, needs)) = path.last_mut() else { break };
                next = needs.copied().find(|to| !std::mem::replace(&mut seen[*to], true));
                if next.is_none() {
                    left.push(*node);
                    path.pop();
                }
            }
        }
        left
    }

    fn each_edge(&self) -> impl Iterator<Item = (usize, usize)> {
        self.edges.iter().enumerate().flat_map(|(from, tos)| tos.iter().map(move |to| (from, *to)))
    }
}

/// Returns the members of each cycle, by its first node.
fn members(cycle: &[usize]) -> BTreeMap<usize, Vec<usize>> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (node, first) in cycle.iter().enumerate() {
        members.entry(*first).or_default().push(node);
    }
    members
}

/// Returns the nodes reachable from `start` that were not found before, including `start`.
fn search(edges: &[Vec<usize>], start: usize, found: &mut [bool]) -> Vec<usize> {
    let mut reached = Vec::new();
    let mut next = vec![start];
    while let Some(node) = next.pop() {
        if !std::mem::replace(&mut found[node], true) {
            reached.push(node);
            next.extend(&edges[node]);
        }
    }
    reached
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
    fn a_node_comes_before_its_dependencies() {
        check(&[&[], &[0], &[1]], &[0, 0, 0], &[2, 1, 0]);
    }

    #[test]
    fn a_cycle_stays_together_in_order_of_position() {
        check(&[&[2], &[2], &[1]], &[0, 0, 0], &[0, 1, 2]);
        check(&[&[1], &[0], &[0]], &[0, 0, 0], &[2, 0, 1]);
    }

    #[test]
    fn the_first_unneeded_node_comes_first() {
        check(&[&[3], &[0], &[3, 4], &[], &[1, 2]], &[0; 5], &[2, 4, 1, 0, 3]);
        check(&[&[], &[4, 0], &[], &[2], &[]], &[0, 0, 2, 2, 0], &[1, 0, 3, 2, 4]);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack_and_no_quadratic_time() {
        let length = 100_000;
        let graph = Graph::new((0..length).map(|node| BTreeSet::from([(node + 1) % length])).collect());
        assert_eq!(graph.groups(), vec![0; length]);
        assert_eq!(graph.order(), (0..length).collect::<Vec<_>>());
        assert_eq!(graph.cycles().len(), 1);
    }

    #[test]
    fn a_node_may_need_itself() {
        check(&[&[0], &[]], &[0, 1], &[0, 1]);
    }
}
