//! Clients of librdkafka, made and closed away from the runtime.

use std::ops::Deref;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfig;
use rdkafka::error::KafkaError;

/// A producer or an administrator. Making and closing one waits for librdkafka's own threads, up to a minute when they don't
/// come up, and those that end may wait for the network: a thread of the runtime would stand still meanwhile, and with it
/// leases, health and whoever asks.
pub(super) struct Client<T: Send + 'static>(Option<T>);

impl<T: FromClientConfig + Send + 'static> Client<T> {
    pub(super) async fn create(settings: ClientConfig) -> Result<Self, KafkaError> {
        let created = tokio::task::spawn_blocking(move || settings.create().map(Some).map(Self)).await;
        created.map_err(|_| KafkaError::Canceled)?
    }
}

impl<T: Send + 'static> Deref for Client<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().unwrap_or_else(|| unreachable!("only a drop takes it"))
    }
}

impl<T: Send + 'static> Drop for Client<T> {
    fn drop(&mut self) {
        // A thread that the end of the process does not wait for.
        let client = self.0.take();
        // Without a thread to be had it is dropped here after all.
        drop(std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || drop(client)));
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use std::sync::mpsc;

    use super::Client;

    struct Slow(mpsc::Sender<()>, mpsc::Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            // As a broker does that does not answer.
            let _answer = self.1.recv();
            let _told = self.0.send(());
        }
    }

    #[test]
    fn who_drops_a_client_does_not_wait_until_it_is_closed() {
        let ((closed, is_closed), (answers, answered)) = (mpsc::channel(), mpsc::channel());
        drop(Client(Some(Slow(closed, answered))));
        assert_eq!(is_closed.try_recv(), Err(mpsc::TryRecvError::Empty));
        answers.send(()).expect("it waits for an answer");
        is_closed.recv().expect("it is closed");
    }
}
