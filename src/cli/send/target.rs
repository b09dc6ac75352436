//! Where to send, and by which door: `mllp://`, `mllps://`, `http://`, `https://` or `sftp://`.

use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) door: Door,
    /// A name or an address, without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    Mllp {
        is_tls: bool,
    },
    /// `path` begins with a slash: `/inbound/FEED`, or the base of a FHIR server.
    Http {
        is_tls: bool,
        path: String,
    },
    /// `folder` is empty for where a session begins.
    Sftp {
        user: String,
        folder: String,
    },
}

const SHAPE: &str = "write it as mllp://HOST:PORT (mllps:// with TLS), http://HOST:PORT/inbound/FEED, \
                     http://HOST:PORT/fhir (https:// with TLS) or sftp://USER@HOST:PORT";

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || SHAPE.to_owned();
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        if user.is_some() != (scheme == "sftp") || user.is_some_and(|it| it.is_empty() || it.contains(':')) {
            return Err(wrong());
        }
        let (door, default_port) = match scheme {
            "mllp" | "mllps" if path.trim_matches('/').is_empty() => {
                (Door::Mllp { is_tls: scheme == "mllps" }, None)
            }
            "http" => (Door::Http { is_tls: false, path: path.to_owned() }, Some(80)),
            "https" => (Door::Http { is_tls: true, path: path.to_owned() }, Some(443)),
            "sftp" => {
                let (user, folder) = (user.unwrap_or_default(), path.trim_end_matches('/'));
                (Door::Sftp { user: user.to_owned(), folder: folder.to_owned() }, Some(22))
            }
            _ => return Err(wrong()),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (authority, default_port),
        };
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        match port {
            Some(port) if !host.is_empty() => Ok(Self { door, host: host.to_owned(), port }),
            _ => Err(wrong()),
        }
    }
}

impl Target {
    pub(super) const fn is_tls(&self) -> bool {
        matches!(self.door, Door::Mllp { is_tls: true } | Door::Http { is_tls: true, .. })
    }

    /// `HOST:PORT`, as a `Host` header has it.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::Door;
    use super::Target;

    #[test]
    fn a_target_is_a_door_a_host_and_a_port() {
        let mllp =
            |is_tls, host: &str| Target { door: Door::Mllp { is_tls }, host: host.to_owned(), port: 2575 };
        assert_eq!("mllp://127.0.0.1:2575".parse(), Ok(mllp(false, "127.0.0.1")));
        assert_eq!("mllps://lab.example:2575/".parse(), Ok(mllp(true, "lab.example")));
        assert_eq!("mllp://[::1]:2575".parse(), Ok(mllp(false, "::1")));
        let http = |is_tls, port, path: &str| Target {
            door: Door::Http { is_tls, path: path.to_owned() },
            host: "gateway.example".to_owned(),
            port,
        };
        assert_eq!("http://gateway.example:8080/fhir".parse(), Ok(http(false, 8080, "/fhir")));
        assert_eq!("https://gateway.example/inbound/a".parse(), Ok(http(true, 443, "/inbound/a")));
        assert_eq!(http(false, 8080, "").authority(), "gateway.example:8080");
        let sftp = |folder: &str, port| Target {
            door: Door::Sftp { user: "lab".to_owned(), folder: folder.to_owned() },
            host: "gateway.example".to_owned(),
            port,
        };
        assert_eq!("sftp://lab@gateway.example".parse(), Ok(sftp("", 22)));
        assert_eq!("sftp://lab@gateway.example:2222/in/box/".parse(), Ok(sftp("/in/box", 2222)));
        for wrong in [
            "127.0.0.1:2575",
            "ftp://a:1",
            "mllp://a",
            "mllp://a:x",
            "mllp://:1",
            "mllp://a:70000",
            "mllp://a:1/path",
            "http://user:secret@a:1/",
            "sftp://a:1",
            "sftp://@a:1",
            "sftp://user:secret@a:1",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
