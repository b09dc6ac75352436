//! Where to send: `mllp://HOST:PORT` or `mllps://HOST:PORT`.

use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) is_tls: bool,
    /// A name or an address, without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: u16,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write it as mllp://HOST:PORT, or mllps://HOST:PORT for TLS".to_owned();
        let (is_tls, rest) = match text.split_once("://") {
            Some(("mllp", rest)) => (false, rest),
            Some(("mllps", rest)) => (true, rest),
            _ => return Err(wrong()),
        };
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() { Err(wrong()) } else { Ok(Self { is_tls, host: host.to_owned(), port }) }
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_target_is_a_host_and_a_port() {
        let target = |is_tls, host: &str| Target { is_tls, host: host.to_owned(), port: 2575 };
        assert_eq!("mllp://127.0.0.1:2575".parse(), Ok(target(false, "127.0.0.1")));
        assert_eq!("mllps://lab.example:2575/".parse(), Ok(target(true, "lab.example")));
        assert_eq!("mllp://[::1]:2575".parse(), Ok(target(false, "::1")));
        for wrong in ["127.0.0.1:2575", "http://a:1", "mllp://a", "mllp://a:x", "mllp://:1", "mllp://a:70000"]
        {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
