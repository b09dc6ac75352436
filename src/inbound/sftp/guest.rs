//! A client of the SSH server: signs in with a key, opens channels, and may ask for one thing on them, SFTP.
//!
//! Whatever else it asks for is refused aloud: a shell, a command, a terminal, an agent, a forwarded port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use russh::Channel;
use russh::ChannelId;
use russh::ChannelStream;
use russh::Pty;
use russh::keys::HashAlg;
use russh::keys::PublicKey;
use russh::server::Auth;
use russh::server::ChannelOpenHandle;
use russh::server::Handler;
use russh::server::Msg;
use russh::server::PublicKeyOffer;
use russh::server::Session;
use russh::server::VerifiedPublicKey;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;

use crate::inbound::sftp::CHANNELS_MAX;
use crate::inbound::sftp::accounts::Account;
use crate::inbound::sftp::accounts::Accounts;

/// A channel on which a client that is signed in speaks SFTP.
pub(super) struct Opened {
    pub(super) account: Arc<Account>,
    /// Of the key it signed in with.
    pub(super) fingerprint: String,
    pub(super) stream: ChannelStream<Msg>,
    pub(super) place: OwnedSemaphorePermit,
}

pub(super) struct Guest {
    accounts: Arc<Accounts>,
    peer: SocketAddr,
    signed_in: Option<(Arc<Account>, String)>,
    /// Channels that are open and not yet asked for anything.
    idle: HashMap<ChannelId, (Channel<Msg>, OwnedSemaphorePermit)>,
    places: Arc<Semaphore>,
    opened: mpsc::Sender<Opened>,
}

impl Guest {
    pub(super) fn new(accounts: Arc<Accounts>, peer: SocketAddr, opened: mpsc::Sender<Opened>) -> Self {
        let places = Arc::new(Semaphore::new(CHANNELS_MAX));
        Self { accounts, peer, signed_in: None, idle: HashMap::new(), places, opened }
    }

    fn account(&self, user: &str, key: &PublicKey) -> Option<Arc<Account>> {
        let found = self.accounts.find(user, key).cloned();
        if found.is_none() {
            // A user's name is whatever a stranger wrote.
            tracing::warn!(key = %fingerprint(key), peer = %self.peer, "refused an SSH key");
        }
        found
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.account(user, offer.public_key).map_or_else(Auth::reject, |_| Auth::Accept))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let Some(account) = self.account(user, key.public_key) else { return Ok(Auth::reject()) };
        self.signed_in = Some((account, fingerprint(key.public_key)));
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // A reply that is dropped refuses.
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            self.idle.insert(channel.id(), (channel, place));
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.idle.remove(&channel);
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let signed_in = self.signed_in.clone().filter(|_| name == "sftp");
        let asked = signed_in.and_then(|it| Some((it, self.idle.remove(&channel)?)));
        let Some(((account, fingerprint), (open, place))) = asked else {
            return session.channel_failure(channel);
        };
        let opened = Opened { account, fingerprint, stream: open.into_stream(), place };
        match self.opened.try_send(opened) {
            Ok(()) => session.channel_success(channel),
            Err(_) => session.channel_failure(channel),
        }
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn agent_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        session.channel_failure(channel)?;
        Ok(false)
    }
}
