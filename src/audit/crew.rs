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

/// The cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::share_out;

    #[test]
    fn results_stand_in_the_order_of_the_work() {
        for (items, threads) in [(0, 2), (1, 2), (2, 1), (500, 2), (500, 7)] {
            let doubled = share_out((0..items).collect(), threads, |i: u32| i * 2);
            assert_eq!(doubled, (0..items).map(|i| i * 2).collect::<Vec<_>>());
        }
    }
}
