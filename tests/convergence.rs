//! Any delivery order, repetition and batching of the same runs comes to the same sums: the lowest
//! rung on which merging can be tested with engine, disk and records together. The authors of a story
//! know little of each other, and claim one id for records of two kinds as well.

use fenbu_tests::sim::replica::{Replica, Story};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_delivery_comes_to_the_same_sums(
        story in any::<u64>(),
        order in prop::collection::vec(any::<u16>(), 0..120),
        batch in 1usize..6,
    ) {
        let story = Story::tell(story, 4, 12);
        let mut straight = Replica::new(&story);
        straight.receive(story.runs.iter(), usize::MAX);
        let expected = straight.sums();
        prop_assert!(expected.entries == story.entries && expected.waiting == 0);
        prop_assert_eq!(expected.documents, story.documents);

        let mut shuffled = Replica::new(&story);
        // A run per number, many twice; then all of them, so that none is missing.
        let picked = order.iter().map(|n| &story.runs[usize::from(*n) % story.runs.len()]);
        shuffled.receive(picked.chain(story.runs.iter().rev()), batch);
        // Pushes that came before what they follow are asked for again.
        shuffled.receive(story.runs.iter(), batch);
        prop_assert_eq!(shuffled.sums(), expected);
    }
}
