//! The proxy that the environment names. This file reads it instead of the HTTP client, so that exactly these rules
//! hold, and so that tests can pass their own environment.

use std::fmt;

use anyhow::{Context as _, Result, bail};
use reqwest::{NoProxy, Proxy, Url};

/// `HTTPS_PROXY` and `NO_PROXY`; the upper-case name wins. Every request is https, so `HTTP_PROXY` is ignored.
#[derive(Clone, Default)]
pub struct ProxySettings {
    https: Option<String>,
    no_proxy: Option<String>,
}

/// Does not show the address, which may hold credentials.
impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxySettings {{ https: {}, no_proxy: {:?} }}", self.https.is_some(), self.no_proxy)
    }
}

impl ProxySettings {
    /// No proxy.
    pub fn none() -> ProxySettings {
        ProxySettings::default()
    }

    /// Reads the settings from an environment, given as a look-up by name. An empty value counts as unset.
    pub fn from_env(look_up: impl Fn(&str) -> Option<String>) -> ProxySettings {
        let pick = |names: [&str; 2]| {
            names.iter().find_map(|name| {
                look_up(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
            })
        };
        ProxySettings {
            https: pick(["HTTPS_PROXY", "https_proxy"]),
            no_proxy: pick(["NO_PROXY", "no_proxy"]),
        }
    }

    /// The settings of this process.
    pub fn of_this_process() -> ProxySettings {
        ProxySettings::from_env(|name| std::env::var(name).ok())
    }

    /// The proxy as the HTTP library takes it; `None`: there is no proxy.
    pub(crate) fn build(&self) -> Result<Option<Proxy>> {
        let Some(url) = self.url()? else { return Ok(None) };
        // The library's own error could repeat the address, and a password in it.
        let proxy =
            Proxy::https(url).map_err(|_| anyhow::anyhow!("HTTPS_PROXY cannot be used as a proxy"))?;
        Ok(Some(proxy.no_proxy(self.no_proxy.as_deref().and_then(NoProxy::from_string))))
    }

    /// User and password of the address, which no text may repeat. A part shorter than four bytes is left out: hiding
    /// it would blank half of every message and protect nothing.
    pub(crate) fn hidden(&self) -> Vec<String> {
        let Ok(Some(url)) = self.url() else { return Vec::new() };
        [url.username(), url.password().unwrap_or_default()]
            .into_iter()
            .filter(|part| part.len() >= 4)
            .map(str::to_owned)
            .collect()
    }

    fn url(&self) -> Result<Option<Url>> {
        let Some(text) = &self.https else { return Ok(None) };
        let text = if text.contains("://") { text.clone() } else { format!("http://{text}") };
        let url = Url::parse(&text).ok().filter(Url::has_host).context(match text.is_ascii() {
            true => "HTTPS_PROXY is not a URL; write it as http://proxy.example:3128",
            false => "HTTPS_PROXY has letters beyond ASCII; write its host in the form xn--…",
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!("HTTPS_PROXY has the scheme {:?}; only http and https proxies are supported", url.scheme());
        }
        Ok(Some(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> ProxySettings {
        ProxySettings::from_env(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn both_spellings_are_read_and_empty_is_unset() {
        assert_eq!(settings(&[("https_proxy", "p:1")]).https.as_deref(), Some("p:1"));
        assert_eq!(settings(&[("HTTPS_PROXY", " "), ("https_proxy", "p:1")]).https.as_deref(), Some("p:1"));
        assert_eq!(settings(&[("HTTPS_PROXY", "q:2"), ("https_proxy", "p:1")]).https.as_deref(), Some("q:2"));
        assert_eq!(settings(&[("HTTP_PROXY", "q:2")]).https, None);
        assert_eq!(settings(&[("no_proxy", "a.example")]).no_proxy.as_deref(), Some("a.example"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_without_its_password() {
        for bad in ["socks5://user:hunter2@proxy.example", "http://", "http://user:hunter2@[x"] {
            let error = settings(&[("HTTPS_PROXY", bad)]).build().err().map(|error| format!("{error:#}"));
            let error = error.expect("refused");
            assert!(error.contains("HTTPS_PROXY") && !error.contains("hunter2"), "{error}");
        }
        let beyond = settings(&[("HTTPS_PROXY", "http://user:hunter2@bücher.example:1")]);
        let error = beyond.build().err().map(|error| format!("{error:#}")).expect("refused");
        assert!(error.contains("HTTPS_PROXY has letters") && !error.contains("hunter2"), "{error}");
        assert!(
            settings(&[("HTTPS_PROXY", "http://xn--bcher-kva.example:1")]).build().expect("usable").is_some()
        );
        let with_password = settings(&[("HTTPS_PROXY", "http://user:hunter2@proxy.example:1")]);
        assert!(!format!("{with_password:?}").contains("hunter2"));
        assert_eq!(with_password.hidden(), ["user", "hunter2"]);
        assert!(with_password.build().expect("usable").is_some());
    }
}
