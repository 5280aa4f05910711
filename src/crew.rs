//! Work shared out among threads, results in the order of the work.

use std::sync::{Mutex, PoisonError};

/// Does `work` on each item, on as many threads as there are cores. Whichever thread is free takes the next item.
pub fn share_out<T: Send, R: Send>(items: Vec<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if threads < 2 || items.len() < 2 {
        return items.into_iter().map(work).collect();
    }
    let mut results: Vec<Option<R>> = Vec::new();
    results.resize_with(items.len(), || None);
    let waiting = Mutex::new(items.into_iter().zip(results.iter_mut()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        let labour = || {
            while let Some((item, place)) = next() {
                *place = Some(work(item));
            }
        };
        for _ in 1..threads {
            scope.spawn(labour);
        }
        labour();
    });
    // a thread that panicked took the whole scope with it, so every place is filled
    results.into_iter().flatten().collect()
}

/// Does `work` on the parts of a list, a thread a part, and puts the results together in order. Fewer items than are worth
/// splitting are one part.
pub fn in_parts<T: Send, R: Send>(
    items: Vec<T>,
    worth_splitting: usize,
    work: impl Fn(Vec<T>) -> Vec<R> + Sync,
) -> Vec<R> {
    let threads = cores();
    if threads < 2 || items.len() < worth_splitting {
        return work(items);
    }
    let each = items.len().div_ceil(threads);
    let mut rest = items.into_iter();
    let parts = std::iter::from_fn(|| {
        let part: Vec<T> = rest.by_ref().take(each).collect();
        (!part.is_empty()).then_some(part)
    });
    share_out(parts.collect(), threads, work).into_iter().flatten().collect()
}

/// The cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::{in_parts, share_out};

    #[test]
    fn results_stand_in_the_order_of_the_work() {
        for (items, threads) in [(0, 2), (1, 2), (2, 1), (500, 2), (500, 7)] {
            let doubled = share_out((0..items).collect(), threads, |i: u32| i * 2);
            assert_eq!(doubled, (0..items).map(|i| i * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn parts_come_back_in_order() {
        for n in [0, 1, 127, 128, 1000, 4096] {
            let doubled = in_parts((0..n).collect(), 128, |part| part.into_iter().map(|x: usize| x * 2).collect());
            assert_eq!(doubled, (0..n).map(|x| x * 2).collect::<Vec<_>>());
        }
    }
}
