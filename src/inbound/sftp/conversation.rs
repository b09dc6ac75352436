//! SFTP packets in and out: one request is answered before the next is read, so writes and closes keep their order.
//!
//! A packet that is too long ends the session, for what follows it cannot be told apart. One that cannot be read (a name
//! that is not UTF-8, say) is refused under its own number, and the session lives.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use russh_sftp::protocol::Packet;
use russh_sftp::protocol::StatusCode;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;

use crate::inbound::sftp::desk::Desk;
use crate::pipeline::shutdown::Shutdown;
use crate::telemetry::Chain;

/// Longest packet; OpenSSH takes and sends no longer ones.
const PACKET_BYTES_MAX: usize = 256 * 1024;
/// A client that does not read its answer is not waited for longer than this.
const WRITE: Duration = Duration::from_secs(30);

/// Serves one channel to its end, then keeps what its client left unfinished.
pub(super) async fn hold(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    mut desk: Desk,
    idle: Duration,
    mut shutdown: Shutdown,
) {
    if let Err(error) = converse(&mut stream, &mut desk, idle, &mut shutdown).await {
        tracing::debug!(error = %Chain(&error), "an SFTP session broke off");
    }
    desk.leave().await;
    let _peer_may_be_gone = tokio::time::timeout(WRITE, stream.shutdown()).await;
}

async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    desk: &mut Desk,
    idle: Duration,
    shutdown: &mut Shutdown,
) -> io::Result<()> {
    desk.arrive().await;
    loop {
        let packet = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            read = tokio::time::timeout(idle, read(stream)) => read.map_err(io::Error::from)??,
        };
        let Some(packet) = packet else { return Ok(()) };
        let answer = match decode(packet) {
            Ok(request) => desk.answer(request).await,
            Err(id) => Packet::status(id, StatusCode::BadMessage, "this request cannot be read", "en"),
        };
        let answer = Bytes::try_from(answer).map_err(io::Error::other)?;
        let write = async {
            stream.write_all(&answer).await?;
            stream.flush().await
        };
        tokio::time::timeout(WRITE, write).await.map_err(io::Error::from)??;
        if desk.is_over() {
            return Ok(());
        }
    }
}

/// The next packet without its length; none where the client has gone between two.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u32().await {
        Ok(length) => usize::try_from(length).unwrap_or(usize::MAX),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length == 0 || length > PACKET_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an SFTP packet has no possible length"));
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet).await?;
    Ok(Some(packet))
}

/// The request, or the number of one that cannot be read.
fn decode(packet: Vec<u8>) -> Result<Packet, u32> {
    let id = packet.get(1..5).and_then(|it| it.try_into().ok()).map_or(0, u32::from_be_bytes);
    Packet::try_from(&mut Bytes::from(packet)).map_err(|_| id)
}
