//! Which links lead to a translation: what has to be undone when it is dropped.

use std::sync::atomic::Ordering;

use super::Place;
use super::translation::Translation;

/// Lists of links, one for each translation that is linked to.
#[derive(Default)]
pub(super) struct Incoming {
    nodes: Vec<Node>,
    /// The first node that is in no list.
    free: u32,
}

/// A link that leads to a translation. Nodes are named by their position and 1; 0 is none.
#[derive(Clone, Copy)]
pub(super) struct Node {
    /// Its field.
    field: Place,
    /// The next one of the list.
    next: u32,
}

impl Incoming {
    /// The link whose field is at `field` leads to `target`.
    pub(super) fn add(&mut self, target: Translation, field: Place) {
        let node = Node { field, next: target.incoming().load(Ordering::Relaxed) };
        let name = match self.free {
            0 => {
                if self.nodes.len() == self.nodes.capacity() {
                    // Doubled, as many would be unused as there are.
                    self.nodes.reserve_exact((self.nodes.len() / 4).max(256));
                }
                self.nodes.push(node);
                self.nodes.len() as u32
            }
            name => {
                let place = &mut self.nodes[name as usize - 1];
                self.free = place.next;
                *place = node;
                name
            }
        };
        target.incoming().store(name, Ordering::Relaxed);
    }

    /// Empties the list of `target`; calls `undo` with the field of each of its links.
    pub(super) fn take(&mut self, target: Translation, mut undo: impl FnMut(Place)) {
        let mut name = target.incoming().swap(0, Ordering::Relaxed);
        while name != 0 {
            let node = &mut self.nodes[name as usize - 1];
            undo(node.field);
            let next = std::mem::replace(&mut node.next, self.free);
            self.free = std::mem::replace(&mut name, next);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Incoming::default();
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::t1::code_memory::CodeMemory;
    use crate::t1::translation::Contents;

    #[test]
    fn links_are_undone_once_and_their_nodes_used_again() {
        let mut memory = CodeMemory::new(0).unwrap();
        let mut translation = || Contents::default().record(&mut memory, &mut Vec::new()).unwrap();
        let (a, b) = (translation(), translation());
        let mut incoming = Incoming::default();
        for _ in 0..3 {
            for field in 0..100 {
                incoming.add(if field % 3 == 0 { a } else { b }, field);
            }
            for (target, remainders) in [(a, 0..1), (b, 1..3)] {
                let mut undone = Vec::new();
                incoming.take(target, |field| undone.push(field));
                undone.sort_unstable();
                assert!(undone.into_iter().eq((0..100).filter(|field| remainders.contains(&(field % 3)))));
                incoming.take(target, |field| panic!("{field} again"));
            }
        }
        assert_eq!(incoming.nodes.len(), 100);
    }
}
