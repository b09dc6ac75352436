//! Brings together what stands at the same place of two lists.

use std::collections::BTreeMap;
use std::collections::VecDeque;

/// What stands at one place of two lists.
pub(super) enum Pair<T> {
    Both(T, T),
    Old(T),
    New(T),
}

/// Brings together what stands at the same place; several at one place in their order.
pub(super) fn pair<'r, T: 'r + Copy, I>(
    old: impl IntoIterator<Item = T, IntoIter = I>,
    new: impl IntoIterator<Item = T, IntoIter = I>,
    place: impl Fn(T) -> &'r str,
    mut each: impl FnMut(Pair<T>),
) where
    I: Iterator<Item = T> + Clone,
{
    let (old, new) = (old.into_iter(), new.into_iter());
    if old.clone().map(&place).eq(new.clone().map(&place)) {
        return old.zip(new).for_each(|(old, new)| each(Pair::Both(old, new)));
    }
    let new: Vec<T> = new.collect();
    let mut left: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    for (at, it) in new.iter().enumerate() {
        left.entry(place(*it)).or_default().push_back(at);
    }
    for it in old {
        let found = left.get_mut(place(it)).and_then(VecDeque::pop_front).and_then(|at| new.get(at));
        each(found.map_or(Pair::Old(it), |found| Pair::Both(it, *found)));
    }
    let mut rest: Vec<usize> = left.into_values().flatten().collect();
    rest.sort_unstable();
    rest.into_iter().filter_map(|at| new.get(at)).for_each(|it| each(Pair::New(*it)));
}
