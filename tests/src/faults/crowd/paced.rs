//! A socket whose owner may read one byte a second.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

/// How long a slow reader takes for a byte.
const BYTE_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Paced {
    stream: TcpStream,
    member: usize,
    /// Members below this one are slow.
    slow: watch::Receiver<usize>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(super) fn new(stream: TcpStream, member: usize, slow: watch::Receiver<usize>) -> Self {
        Self { stream, member, slow, pause: None }
    }

    fn is_slow(&self) -> bool {
        self.member < *self.slow.borrow()
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever was slow and is not any more notices within the second.
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if !self.is_slow() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let mut byte = [0; 1];
        let mut one = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut one))?;
        buffer.put_slice(one.filled());
        self.pause = Some(Box::pin(sleep(BYTE_EVERY)));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn who_is_slow_gets_a_byte_a_time_until_it_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, server) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), async { listener.accept().await });
        let slow = watch::Sender::new(1);
        let mut paced = Paced::new(client.unwrap(), 0, slow.subscribe());
        server.unwrap().0.write_all(b"0123456789").await.unwrap();
        let (begun, mut buffer) = (Instant::now(), [0; 16]);
        assert_eq!(paced.read(&mut buffer).await.unwrap(), 1);
        assert_eq!(paced.read(&mut buffer).await.unwrap(), 1);
        assert!(begun.elapsed() >= BYTE_EVERY);
        slow.send_replace(0);
        let mut rest = [0; 8];
        paced.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"23456789");
    }
}
