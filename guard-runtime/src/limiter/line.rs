//! Who waits for tokens, in the order of arrival.
//!
//! A doubly linked list in a slab: join, leave and grant are constant time, a place is an index that stays valid until
//! its owner takes it out. The slab is as large as the most that have waited at once since it was last unused; then a
//! large one is let go. Pure data: no clock, no lock.

use std::task::Waker;

use super::{Grant, Taken};

const NONE: u32 = u32::MAX;
/// An unused slab with more room than this is let go.
const KEPT: usize = 256;

/// A place in the line; its owner ends it by [`Line::leave`] or [`Line::take_end`], once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(u32);

pub(super) struct Line {
    nodes: Vec<Node>,
    /// First free node; free nodes are linked by `next`.
    free: u32,
    first: u32,
    last: u32,
    len: usize,
    /// Nodes that are not free: those who wait, and those who have not yet taken what they were granted.
    used: usize,
    /// The cost of all who wait.
    promised: u64,
    /// The cost of all who ever joined, wrapping.
    joined: u64,
    /// How many were ever granted, and how many of them have ended since.
    granted: u64,
    ended: u64,
}

struct Node {
    before: u32,
    next: u32,
    cost: u32,
    /// `joined` after this one: its difference to the first one's says what lies between, if nobody there has left.
    mark: u64,
    /// When the owner's timer fires; of one that is granted, which grant of all it is, from 1.
    timer: u64,
    waker: Option<Waker>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Free,
    Waiting,
    Granted(Grant),
    /// By limits that never have more than this.
    Refused(u32),
}

/// How a place has ended.
pub(super) enum End {
    /// With the mark by which its owner may come back.
    Granted(Taken, u64),
    /// It asked for more than there would ever have been.
    Refused { cost: u32, most: u32 },
}

impl Line {
    pub(super) const fn new() -> Line {
        Line {
            nodes: Vec::new(),
            free: NONE,
            first: NONE,
            last: NONE,
            len: 0,
            used: 0,
            promised: 0,
            joined: 0,
            granted: 0,
            ended: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether nobody waits, and nobody has a grant that was not taken yet.
    pub(super) fn is_unused(&self) -> bool {
        self.used == 0
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The cost of all who wait.
    pub(super) fn promised(&self) -> u64 {
        self.promised
    }

    /// The cost of all up to a place, its own included; too much when some of them left, which matters little: whoever
    /// comes to be the first is told its true turn.
    pub(super) fn promised_until(&self, place: Place) -> u64 {
        let (Some(first), node) = (self.nodes.get(self.first as usize), self.node(place)) else { return 0 };
        node.mark.wrapping_sub(first.mark).wrapping_add(u64::from(first.cost)).min(self.promised)
    }

    /// Joins at the end.
    pub(super) fn join(&mut self, cost: u32, timer: u64) -> Place {
        self.joined = self.joined.wrapping_add(u64::from(cost));
        self.promised = self.promised.saturating_add(u64::from(cost));
        let node =
            Node { before: self.last, next: NONE, cost, mark: self.joined, timer, waker: None, state: State::Waiting };
        let index = if self.free == NONE {
            self.nodes.push(node);
            // 2^32 waiters would take 300 GB.
            (self.nodes.len() - 1) as u32
        } else {
            let index = self.free;
            self.free = self.nodes[index as usize].next;
            self.nodes[index as usize] = node;
            index
        };
        match self.last {
            NONE => self.first = index,
            last => self.nodes[last as usize].next = index,
        }
        self.last = index;
        self.len += 1;
        self.used += 1;
        Place(index)
    }

    /// Comes back to where somebody was who had been granted: before all who came later. Those are looked for from the
    /// first on, so it takes as long as there are others who came back.
    pub(super) fn rejoin(&mut self, cost: u32, mark: u64) -> Place {
        let place = self.join(cost, 0);
        // `joined` counts all who ever came: not this one twice.
        self.joined = self.joined.wrapping_sub(u64::from(cost));
        self.nodes[place.0 as usize].mark = mark;
        // Marks grow from the first to the last; their differences are below 2^63.
        let is_later = |node: &Node| node.mark.wrapping_sub(mark) < 1 << 63 && node.mark != mark;
        let mut next = self.first;
        while next != place.0 && !is_later(&self.nodes[next as usize]) {
            next = self.nodes[next as usize].next;
        }
        if next != place.0 {
            // From the end to before `next`.
            let end = self.nodes[place.0 as usize].before;
            self.nodes[end as usize].next = NONE;
            self.last = end;
            let before = self.nodes[next as usize].before;
            self.nodes[next as usize].before = place.0;
            self.nodes[place.0 as usize].next = next;
            self.nodes[place.0 as usize].before = before;
            match before {
                NONE => self.first = place.0,
                before => self.nodes[before as usize].next = place.0,
            }
        }
        place
    }

    pub(super) fn is_first(&self, place: Place) -> bool {
        self.first == place.0
    }

    /// What the first one waits for.
    pub(super) fn first_cost(&self) -> Option<u32> {
        self.nodes.get(self.first as usize).map(|node| node.cost)
    }

    /// Grants to the first one and returns its waker.
    pub(super) fn grant_first(&mut self, grant: Grant) -> Option<Waker> {
        let first = self.first;
        if first == NONE {
            return None;
        }
        self.unlink(first);
        self.granted += 1;
        let node = &mut self.nodes[first as usize];
        node.state = State::Granted(grant);
        node.timer = self.granted;
        node.waker.take()
    }

    /// The waker of the first one if its timer fires after this instant.
    pub(super) fn wake_first_if_later(&mut self, instant: u64) -> Option<Waker> {
        let node = self.nodes.get_mut(self.first as usize)?;
        if node.timer > instant { node.waker.take() } else { None }
    }

    /// Waits on: with this waker, and a timer that fires then.
    pub(super) fn wait(&mut self, place: Place, waker: Waker, timer: u64) {
        let node = &mut self.nodes[place.0 as usize];
        node.waker = Some(waker);
        node.timer = timer;
    }

    pub(super) fn take_waker(&mut self, place: Place) -> Option<Waker> {
        self.nodes[place.0 as usize].waker.take()
    }

    /// Whether a place was granted after others that have not ended yet: they were woken, and run as soon as this one lets them.
    pub(super) fn is_behind(&self, place: Place) -> bool {
        let node = self.node(place);
        matches!(node.state, State::Granted(_)) && node.timer > self.ended + 1
    }

    /// Ends a place that was granted or refused; `None` for one that waits.
    pub(super) fn take_end(&mut self, place: Place) -> Option<End> {
        let &Node { cost, mark, state, .. } = self.node(place);
        let end = match state {
            State::Granted(grant) => {
                self.ended += 1;
                End::Granted(Taken { cost, grant }, mark)
            }
            State::Refused(most) => End::Refused { cost, most },
            State::Waiting | State::Free => return None,
        };
        self.release(place.0);
        Some(end)
    }

    /// Refuses all that ask for more than this; returns their wakers. Goes through the whole line.
    pub(super) fn refuse_above(&mut self, most: u32) -> Vec<Waker> {
        let mut woken = Vec::new();
        let mut index = self.first;
        while let Some(node) = self.nodes.get_mut(index as usize) {
            let (this, cost) = (index, node.cost);
            index = node.next;
            if cost > most {
                node.state = State::Refused(most);
                woken.extend(node.waker.take());
                self.unlink(this);
            }
        }
        woken
    }

    /// The wakers of all who wait, so that each looks again. Goes through the whole line.
    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        let mut index = self.first;
        while let Some(node) = self.nodes.get_mut(index as usize) {
            index = node.next;
            woken.extend(node.waker.take());
        }
        woken
    }

    /// Ends a place that still waits.
    pub(super) fn leave(&mut self, place: Place) {
        self.unlink(place.0);
        self.release(place.0);
    }

    fn node(&self, place: Place) -> &Node {
        &self.nodes[place.0 as usize]
    }

    fn unlink(&mut self, index: u32) {
        let Node { before, next, cost, .. } = self.nodes[index as usize];
        match before {
            NONE => self.first = next,
            before => self.nodes[before as usize].next = next,
        }
        match next {
            NONE => self.last = before,
            next => self.nodes[next as usize].before = before,
        }
        self.len -= 1;
        self.promised -= u64::from(cost);
    }

    fn release(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        node.state = State::Free;
        node.next = self.free;
        self.free = index;
        self.used -= 1;
        if self.used == 0 && self.nodes.capacity() > KEPT {
            self.nodes = Vec::new();
            self.free = NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(at: u64) -> Grant {
        Grant { first: at, ..Grant::at(at) }
    }

    fn take_granted(line: &mut Line, place: Place) -> Option<(Taken, u64)> {
        match line.take_end(place)? {
            End::Granted(taken, mark) => Some((taken, mark)),
            End::Refused { .. } => None,
        }
    }

    /// The line from its first to its last, walked in both directions.
    fn order(line: &Line) -> Vec<u32> {
        let walk = |mut index: u32, step: fn(&Node) -> u32| {
            let mut found = Vec::new();
            while index != NONE {
                let node = &line.nodes[index as usize];
                assert!(node.state == State::Waiting);
                found.push(node.cost);
                index = step(node);
            }
            found
        };
        let forward = walk(line.first, |node| node.next);
        let mut backward = walk(line.last, |node| node.before);
        backward.reverse();
        assert_eq!(forward, backward);
        assert_eq!(forward.len(), line.len());
        assert_eq!(forward.iter().map(|cost| u64::from(*cost)).sum::<u64>(), line.promised());
        forward
    }

    #[test]
    fn those_who_leave_let_the_others_move_up() {
        let mut line = Line::new();
        let places: Vec<Place> = (1..=5).map(|cost| line.join(cost, 0)).collect();
        assert_eq!(order(&line), [1, 2, 3, 4, 5]);
        line.leave(places[2]);
        line.leave(places[0]);
        line.leave(places[4]);
        assert_eq!(order(&line), [2, 4]);
        line.join(6, 0);
        assert_eq!(order(&line), [2, 4, 6]);
        assert_eq!(line.first_cost(), Some(2));
        assert!(line.grant_first(grant(7)).is_none(), "nobody has polled yet");
        assert_eq!(order(&line), [4, 6]);
        let (taken, _) = take_granted(&mut line, places[1]).unwrap();
        assert_eq!((taken.cost, taken.grant), (2, grant(7)));
        assert!(take_granted(&mut line, places[3]).is_none());
    }

    #[test]
    fn who_comes_back_comes_before_those_who_came_later() {
        let mut line = Line::new();
        let places: Vec<Place> = (1..=5).map(|cost| line.join(cost, 0)).collect();
        (0..3).for_each(|at| drop(line.grant_first(grant(at))));
        assert_eq!(order(&line), [4, 5]);
        for index in [1, 0, 2] {
            let (taken, mark) = take_granted(&mut line, places[index]).unwrap();
            line.rejoin(taken.cost, mark);
        }
        assert_eq!(order(&line), [1, 2, 3, 4, 5]);
        assert_eq!(line.promised_until(places[4]), 15);
        while line.grant_first(grant(9)).is_some() || !line.is_empty() {}
        let (taken, mark) = take_granted(&mut line, places[3]).unwrap();
        line.rejoin(taken.cost, mark);
        line.join(6, 0);
        assert_eq!(order(&line), [4, 6]);
    }

    #[test]
    fn who_asks_for_more_than_there_will_be_is_refused_and_holds_nobody_up() {
        let mut line = Line::new();
        let places: Vec<Place> = [7, 1, 9, 2, 8].into_iter().map(|cost| line.join(cost, 0)).collect();
        assert!(line.refuse_above(6).is_empty(), "nobody has polled yet");
        assert_eq!(order(&line), [1, 2]);
        for (place, cost) in [(0, 7), (2, 9), (4, 8)] {
            assert!(
                matches!(line.take_end(places[place]), Some(End::Refused { cost: refused, most: 6 }) if refused == cost)
            );
        }
        assert!(line.take_end(places[1]).is_none() && !line.is_unused());
        line.leave(places[1]);
        line.leave(places[3]);
        assert!(line.is_unused());
    }

    #[test]
    fn only_who_would_look_too_late_is_woken() {
        let mut line = Line::new();
        let place = line.join(1, 0);
        line.wait(place, Waker::noop().clone(), 7);
        assert!(line.wake_first_if_later(7).is_none());
        assert!(line.wake_first_if_later(6).is_some());
    }

    #[test]
    fn a_line_reuses_its_places() {
        let mut line = Line::new();
        for round in 0..1_000 {
            let places: Vec<Place> = (0..4).map(|_| line.join(1, 0)).collect();
            line.grant_first(grant(round));
            take_granted(&mut line, places[0]).unwrap();
            places[1..].iter().for_each(|place| line.leave(*place));
            assert!(line.is_empty());
        }
        assert_eq!(line.nodes.len(), 4);
    }

    #[test]
    fn a_crowd_leaves_no_memory_behind() {
        let mut line = Line::new();
        let places: Vec<Place> = (0..10_000).map(|_| line.join(1, 0)).collect();
        line.grant_first(grant(1));
        places[1..].iter().for_each(|place| line.leave(*place));
        assert!(line.is_empty() && line.nodes.capacity() >= 10_000, "one grant is not taken yet");
        take_granted(&mut line, places[0]).unwrap();
        assert_eq!(line.nodes.capacity(), 0);
        line.join(1, 0);
        assert_eq!(order(&line), [1]);
    }

    #[test]
    fn what_lies_ahead_is_known_without_a_walk() {
        let mut line = Line::new();
        let places: Vec<Place> = (1..=4).map(|cost| line.join(cost, 0)).collect();
        assert_eq!(line.promised_until(places[0]), 1);
        assert_eq!(line.promised_until(places[3]), 10);
        line.grant_first(grant(0));
        assert_eq!(line.promised_until(places[3]), 9);
    }
}
