use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn lanes(lanes: u64) -> Load {
    Load { lanes, requests: 0 }
}

fn own(count: u64) -> Own {
    Own { load: lanes(count), leaving: 0 }
}

/// One that knows of these others.
fn among(others: &[u64]) -> Spread {
    Spread { others: others.iter().copied().map(lanes).collect(), ..Spread::default() }
}

/// Lanes given back at the second of two beats.
fn given_back(count: u64, others: &[u64]) -> u64 {
    let others: Vec<Load> = others.iter().copied().map(lanes).collect();
    let mut spread = Spread::default();
    assert_eq!(spread.beat(own(count), others.clone()), 0, "a burst may end by itself");
    spread.beat(own(count), others)
}

#[test]
fn a_node_alone_takes_everything_at_once() {
    assert_eq!(Spread::default().eagerness(own(4_000)), Eagerness::AtOnce { lanes: u64::MAX });
    let mut spread = among(&[0, 0]);
    spread.forget_others();
    assert_eq!(spread.eagerness(own(4_000)), Eagerness::AtOnce { lanes: u64::MAX });
}

#[test]
fn who_has_its_share_lets_others_come_first() {
    let cases = [
        // Nobody has much to do.
        (0, vec![0, 0], Eagerness::AtOnce { lanes: 4 }),
        (3, vec![0, 0], Eagerness::AtOnce { lanes: 1 }),
        (4, vec![0, 0], Eagerness::After(OTHERS_FIRST)),
        // All have the same.
        (10, vec![10, 10], Eagerness::AtOnce { lanes: 4 }),
        (11, vec![9, 9], Eagerness::AtOnce { lanes: 1 }),
        (12, vec![9, 9], Eagerness::After(OTHERS_FIRST)),
        // One has come, or is left behind.
        (0, vec![90, 90], Eagerness::AtOnce { lanes: 128 }),
        (90, vec![90, 0], Eagerness::After(OTHERS_FIRST)),
    ];
    for (count, others, expected) in cases {
        assert_eq!(among(&others).eagerness(own(count)), expected, "{count} beside {others:?}");
    }
}

#[test]
fn of_two_with_the_same_lanes_the_one_with_fewer_requests_comes_first() {
    let busy = Load { lanes: 10, requests: 500 };
    let calm = Load { lanes: 10, requests: 20 };
    let spread = |other| Spread { others: vec![other], ..Spread::default() };
    let as_own = |load| Own { load, leaving: 0 };
    assert_eq!(spread(calm).eagerness(as_own(busy)), Eagerness::After(LIGHTER_FIRST));
    assert!(matches!(spread(busy).eagerness(as_own(calm)), Eagerness::AtOnce { .. }));
    let few = Load { lanes: 5, requests: 500 };
    assert!(matches!(spread(calm).eagerness(as_own(few)), Eagerness::AtOnce { .. }), "lanes count first");
}

#[test]
fn lanes_are_given_back_beyond_a_quarter_more_than_an_even_part() {
    let cases = [
        (2, vec![0], 1),
        (3, vec![1], 1),
        (2, vec![1], 0),
        (3, vec![0, 0], 1),
        (12, vec![0, 0], 4),
        (12, vec![10, 10], 0),
        (13, vec![10, 10], 0),
        (15, vec![10, 10], 2),
        (20, vec![10, 10], 3),
        (4_000, vec![0], GIVEN_BACK_MAX),
        (5, vec![5, 5], 0),
        (0, vec![50], 0),
        (7, vec![], 0),
    ];
    for (count, others, expected) in cases {
        assert_eq!(given_back(count, &others), expected, "{count} beside {others:?}");
    }
}

#[test]
fn what_is_on_its_way_to_others_is_not_given_back_twice() {
    let mut spread = Spread::default();
    let others = vec![lanes(0), lanes(0)];
    let leaving = |leaving| Own { load: lanes(12), leaving };
    spread.beat(leaving(0), others.clone());
    assert_eq!(spread.beat(leaving(0), others.clone()), 4);
    assert_eq!(spread.beat(leaving(4), others.clone()), 0);
    assert_eq!(spread.beat(leaving(4), others.clone()), 2);
    assert_eq!([spread.beat(leaving(6), others.clone()), spread.beat(leaving(6), others.clone())], [0, 1]);
    assert_eq!([spread.beat(leaving(8), others.clone()), spread.beat(leaving(8), others)], [0, 0]);
}

#[test]
fn who_gave_lanes_back_does_not_take_them_again_at_once() {
    let mut spread = Spread::default();
    spread.beat(own(2), vec![lanes(0)]);
    assert_eq!(spread.beat(own(2), vec![lanes(0)]), 1);
    assert_eq!(spread.eagerness(own(1)), Eagerness::After(OTHERS_FIRST));
    (0..BEATS_MODEST).for_each(|_| assert_eq!(spread.beat(own(1), vec![lanes(1)]), 0));
    assert_eq!(spread.eagerness(own(1)), Eagerness::AtOnce { lanes: 2 }, "in the end few are no matter again");
}

/// Nodes that beat and claim; a lane is somebody's or due.
#[derive(Debug)]
struct World {
    nodes: Vec<(Spread, Own)>,
    due: u64,
    /// What each has told at its last beat.
    told: Vec<Load>,
    order: Vec<usize>,
}

impl World {
    fn new(lanes: &[u64], requests: &[u64], due: u64, order: Vec<usize>) -> World {
        let loads = lanes.iter().zip(requests).map(|(lanes, requests)| Load { lanes: *lanes, requests: *requests });
        let told: Vec<Load> = loads.collect();
        let nodes = told.iter().map(|load| (Spread::default(), Own { load: *load, leaving: 0 })).collect();
        World { nodes, due, told, order }
    }

    /// Everybody beats once, gives back, and looks for what is due; whether any lane has moved. What is given back leaves
    /// at once or at the next beat.
    fn beat(&mut self, is_slow: bool) -> bool {
        let due_before = self.due;
        let mut has_moved = false;
        for place in self.order.clone() {
            let others = self.told.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, load)| *load);
            let others = others.collect();
            let (spread, own) = &mut self.nodes[place];
            if is_slow {
                self.due += own.leaving;
                (own.load.lanes, own.leaving) = (own.kept(), 0);
            }
            let given = spread.beat(*own, others);
            own.leaving += given;
            has_moved |= given > 0;
            if !is_slow {
                self.due += own.leaving;
                (own.load.lanes, own.leaving) = (own.kept(), 0);
            }
            self.told[place] = own.load;
        }
        // Those who take at once look within a second, those with much to do come after them, and then everybody.
        for patience in [Duration::ZERO, LIGHTER_FIRST, OTHERS_FIRST] {
            for place in self.order.clone() {
                self.claim(place, patience);
            }
        }
        has_moved || due_before > 0
    }

    fn claim(&mut self, place: usize, patience: Duration) {
        while self.due > 0 {
            let (spread, own) = &mut self.nodes[place];
            let lanes = match spread.eagerness(*own) {
                Eagerness::AtOnce { lanes } => lanes,
                Eagerness::After(wait) if wait <= patience => 256,
                Eagerness::After(_) => return,
            };
            let taken = lanes.min(self.due);
            own.load.lanes += taken;
            self.due -= taken;
        }
    }
}

fn worlds() -> impl Strategy<Value = World> {
    (1..9_usize).prop_flat_map(|nodes| {
        let lanes = vec(prop_oneof![Just(0), 0..20_u64, 0..1_500_u64], nodes);
        let order = Just((0..nodes).collect::<Vec<_>>()).prop_shuffle();
        (lanes, vec(0..2_000_u64, nodes), prop_oneof![Just(0), 0..40_u64, 0..3_000_u64], order)
            .prop_map(|(lanes, requests, due, order)| World::new(&lanes, &requests, due, order))
    })
}

proptest! {
    #[test]
    fn lanes_come_to_rest_evenly_spread(mut world in worlds(), is_slow in any::<bool>()) {
        let total = world.nodes.iter().map(|(_, own)| own.load.lanes).sum::<u64>() + world.due;
        // At each second beat half of what is too much, or 64, goes.
        let bound = 60 + 4 * total.div_ceil(GIVEN_BACK_MAX);
        let mut calm = 0;
        for _ in 0..bound + 30 {
            calm = if world.beat(is_slow) { 0 } else { calm + 1 };
        }
        prop_assert!(calm >= 30, "still moving after {bound} beats, with {:?}", world.told);
        let nodes = world.nodes.len() as u64;
        let most = world.nodes.iter().map(|(_, own)| own.load.lanes).max().unwrap_or(0);
        prop_assert_eq!(world.nodes.iter().map(|(_, own)| own.load.lanes).sum::<u64>(), total);
        prop_assert!(most <= total.div_ceil(nodes).max(total * 5 / (nodes * 4)), "{most} of {total} on one of {nodes}");
    }
}

#[test]
fn a_node_that_joins_has_its_part_soon() {
    let beats = |lanes: &[u64]| {
        let mut world = World::new(lanes, &[0; 4][..lanes.len()], 0, (0..lanes.len()).collect());
        (1..200).filter(|_| world.beat(true)).last().unwrap_or(0)
    };
    let found = [[12, 0].as_slice(), &[100, 100, 0], &[1_000, 0], &[4_000, 0, 0, 0]].map(beats);
    assert_eq!(found, [6, 4, 14, 88], "beats of two seconds until nothing moves");
}
