//! Decides whether the tenant's domain may be asked for a token. The owner of that host receives the credentials of the
//! application, and one line of a pull request can name another host.

use super::args::ConnectArgs;
use super::error::{Error, Result};
use super::setup::Shell;
use crate::manifest::{self, Parsed, connection};
use crate::model::manifest::Manifest;
use crate::shell::via::Via;

/// Refuses a domain that is not Auth0's and that only the manifest chose, unless the user at the terminal types it.
/// `is_handed_in`: see [`is_handed_in`].
pub fn admit(
    is_handed_in: bool,
    manifest: &Manifest,
    connect: &ConnectArgs,
    shell: &mut Shell,
) -> Result<()> {
    let secret = || manifest.secret("auth0", "domain").map(|secret| secret.expose());
    let Some(domain) = manifest.text("auth0", "domain").or_else(secret) else { return Ok(()) };
    if let Some(named) = &connect.domain {
        return is_named(domain, named);
    }
    // With a twin or a gateway on this machine, nothing reaches the host.
    let stays_here = connect.twin.is_some() || is_local(connect.via.as_deref(), connect.via_force)?;
    // A variable such as AUTH0_DOMAIN is set by the person who runs this program.
    if stays_here || is_of_the_vendor(domain) || is_handed_in {
        return Ok(());
    }
    let signals = shell.signals.clone();
    let question = format!(
        "auth0.domain is {domain}, which is no host of Auth0; the credentials of the manifest would be sent there.\nType the domain to go on:"
    );
    if shell.say.ask_word(&question, &signals).is_ok_and(|typed| typed == domain) {
        return Ok(());
    }
    let text = format!(
        "auth0.domain is {domain}, which is no host of Auth0 and was chosen by the manifest alone; nothing was sent"
    );
    Err(Error::manifest(text).help(format!("add --domain {domain} if this is your tenant")))
}

/// Whether the domain comes from outside the manifest, from a variable that is named after it.
pub fn is_handed_in(parsed: &Parsed) -> bool {
    manifest::is_handed_in(parsed, "auth0.domain", "domain")
}

fn is_named(domain: &str, named: &str) -> Result<()> {
    if let Err((reason, help)) = connection::host_name(named) {
        return Err(Error::usage(format!("--domain {reason}")).help(help));
    }
    if named != domain {
        let text = format!("auth0.domain is {domain}, and --domain names {named}; nothing was sent");
        return Err(Error::manifest(text).help("run with the manifest of that tenant, or correct --domain"));
    }
    Ok(())
}

fn is_local(via: Option<&str>, force: bool) -> Result<bool> {
    let Some(url) = via else { return Ok(false) };
    let via = Via::parse(url, force).map_err(|problem| Error::usage(problem.to_string()))?;
    Ok(via.is_loopback())
}

/// Whether a domain is of the form that Auth0 gives to tenants.
fn is_of_the_vendor(domain: &str) -> bool {
    let is_below = |suffix: &str| domain.strip_suffix(suffix).is_some_and(|tenant| !tenant.is_empty());
    connection::host_name(domain).is_ok() && (is_below(".auth0.com") || is_below(".auth0app.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_auth0_look_like_them() {
        for (domain, is_theirs) in [
            ("acme.auth0.com", true),
            ("acme.eu.auth0.com", true),
            ("acme.auth0app.com", true),
            ("auth0.com", false),
            (".auth0.com", false),
            ("evilauth0.com", false),
            ("acme.auth0.com.evil.example", false),
            ("acme.auth0.com.", false),
            ("evil.example/.auth0.com", false),
            ("evil.example#.auth0.com", false),
            ("evil.example:443@x.auth0.com", false),
            ("acme.AUTH0.com", false),
            ("login.acme.example", false),
            ("acme.auth0.com:443", false),
            ("acme.\u{430}uth0.com", false),
            ("acme.xn--uth0-6cd.com", false),
            ("-.auth0.com", false),
            ("acme..auth0.com", false),
        ] {
            assert_eq!(is_of_the_vendor(domain), is_theirs, "{domain}");
        }
    }

    #[test]
    fn a_flag_names_exactly_one_host() {
        assert!(is_named("acme.eu.auth0.com", "acme.eu.auth0.com").is_ok());
        for named in
            ["acme.us.auth0.com", "acme.eu.auth0.com.", "https://acme.eu.auth0.com", "", "*.auth0.com"]
        {
            assert!(is_named("acme.eu.auth0.com", named).is_err(), "{named}");
        }
    }

    #[test]
    fn only_a_gateway_on_this_machine_keeps_credentials_here() {
        assert!(!is_local(None, false).expect("none"));
        assert!(is_local(Some("http://127.0.0.1:8181"), false).expect("loopback"));
        assert!(is_local(Some("http://[::1]:8181"), false).expect("loopback"));
        assert!(!is_local(Some("https://gateway.example"), true).expect("forced"));
        assert!(is_local(Some("http://gateway.example"), true).is_err());
    }
}
