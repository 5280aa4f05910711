//! Look-ups of many callers together: while one is under way, those that come gather for the next. So there is no timer,
//! and one look-up is for as many callers as the load makes it.

use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// Callers whose asks may wait; whoever comes later waits with them.
const WAITING: usize = 256;

/// Looks up for many at once. Cheap to clone; its task ends with the last of them.
pub struct Gather<K, V> {
    asks: mpsc::Sender<Ask<K, V>>,
}

struct Ask<K, V> {
    key: K,
    answer: oneshot::Sender<Result<V, StoreError>>,
}

impl<K, V> Clone for Gather<K, V> {
    fn clone(&self) -> Self {
        Self { asks: self.asks.clone() }
    }
}

impl<K: Send + 'static, V: Send + 'static> Gather<K, V> {
    /// Starts its task. `look` looks up at most `most` keys, and gives what it found in their order.
    pub fn start<F, L>(most: usize, look: F) -> Self
    where
        F: Fn(Vec<K>) -> L + Send + Sync + 'static,
        L: Future<Output = Result<Vec<V>, StoreError>> + Send,
    {
        let (asks, mut waiting) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut gathered = Vec::new();
            while waiting.recv_many(&mut gathered, most).await > 0 {
                let (keys, answers): (Vec<K>, Vec<_>) =
                    gathered.drain(..).map(|Ask { key, answer }| (key, answer)).unzip();
                // whoever asked may have gone away
                match look(keys).await {
                    Ok(found) => answers.into_iter().zip(found).for_each(|(to, found)| drop(to.send(Ok(found)))),
                    Err(error) => answers.into_iter().for_each(|to| drop(to.send(Err(error.clone())))),
                }
            }
        });
        Self { asks }
    }

    /// Looks up, together with others that wait.
    pub async fn ask(&self, key: K) -> Result<V, StoreError> {
        let ended = || StoreError::Broken("a look-up ended without an answer".to_owned());
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { key, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn whoever_comes_during_a_look_up_goes_into_the_next_one() {
        let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let gather = {
            let (gate, sizes) = (Arc::clone(&gate), Arc::clone(&sizes));
            Gather::start(4, move |keys: Vec<u32>| {
                let (gate, sizes) = (Arc::clone(&gate), Arc::clone(&sizes));
                async move {
                    sizes.lock().unwrap().push(keys.len());
                    gate.acquire().await.unwrap().forget();
                    if keys.contains(&7) {
                        return Err(StoreError::Busy("seven".to_owned()));
                    }
                    Ok(keys.into_iter().map(|key| key * 2).collect())
                }
            })
        };
        let asking: Vec<_> = (0..8)
            .map(|key| {
                tokio::spawn({
                    let gather = gather.clone();
                    async move { gather.ask(key).await }
                })
            })
            .collect();
        while sizes.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        gate.add_permits(8);
        let found: Vec<_> = join_all(asking).await.into_iter().map(Result::unwrap).collect();
        let sizes = sizes.lock().unwrap().clone();
        assert_eq!(sizes.iter().sum::<usize>(), 8);
        assert!(sizes.iter().all(|size| *size <= 4) && sizes.len() < 8, "{sizes:?}");
        for (key, found) in (0..).zip(found) {
            match found {
                Ok(found) => assert_eq!(found, key * 2),
                Err(error) => assert!(matches!(error, StoreError::Busy(_)) && key >= 4, "{key}: {error}"),
            }
        }
    }
}
