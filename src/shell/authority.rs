//! A certificate authority for one run of the served twin. Its key never leaves the process. Its certificate is limited
//! to the names of the twin, so trusting it endangers no other site.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Most certificates kept. When there are more hosts, all are made anew.
const KEPT_MAX: usize = 2_000;

/// Names of this machine, for clients that connect without a proxy.
pub const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes certificates for hosts.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The authority's own certificate.
    der: CertificateDer<'static>,
    /// One key for all hosts, because one process serves them all.
    host_key: KeyPair,
    valid: (Day, Day),
    made: RefCell<BTreeMap<String, Arc<ServerConfig>>>,
}

type Day = (i32, u8, u8);

impl Authority {
    /// A new authority for these names: exact ones, or endings such as `.auth0.com` for a name and all below it.
    /// `now_ms` is Unix time. Certificates are valid from the day before, for a year.
    ///
    /// # Errors
    /// A key or certificate cannot be made, for lack of random bytes.
    pub fn new(names: &[String], now_ms: u64) -> Result<Authority> {
        let valid = (day(now_ms.saturating_sub(86_400_000)), day(now_ms.saturating_add(365 * 86_400_000)));
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Lockstep twin, this run only");
        params.distinguished_name.push(DnType::OrganizationName, "Lockstep twin");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let mut permitted: Vec<GeneralSubtree> = names
            .iter()
            .map(|name| GeneralSubtree::DnsName(name.trim_start_matches('.').to_owned()))
            .collect();
        permitted.push(GeneralSubtree::DnsName("localhost".into()));
        permitted.push(GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)));
        let mut loopback_v6 = [0; 16];
        loopback_v6[15] = 1;
        permitted.push(GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(loopback_v6, 128)));
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: vec![] });
        set_validity(&mut params, valid);
        let key = KeyPair::generate().context("no key for the certificate authority")?;
        let certificate = params.self_signed(&key).context("no certificate for the authority")?;
        let der = certificate.der().clone();
        let host_key = KeyPair::generate().context("no key for the hosts")?;
        Ok(Authority {
            issuer: Issuer::new(params, key),
            der,
            host_key,
            valid,
            made: RefCell::new(BTreeMap::new()),
        })
    }

    /// The authority's certificate, for `NODE_EXTRA_CA_CERTS`, `--ca-file` and the like.
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// The TLS configuration for that host; `None` stands for this machine under its own names.
    ///
    /// # Errors
    /// A certificate cannot hold the name.
    pub fn config(&self, host: Option<&str>) -> Result<Arc<ServerConfig>> {
        let key = host.unwrap_or_default().to_owned();
        if let Some(config) = self.made.borrow().get(&key) {
            return Ok(config.clone());
        }
        let names = match host {
            Some(host) => vec![host.to_owned()],
            None => LOOPBACK.map(str::to_owned).to_vec(),
        };
        let mut params = CertificateParams::new(names).context("not a host name")?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Lockstep twin");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, self.valid);
        let certificate = params.signed_by(&self.host_key, &self.issuer).context("no certificate")?;
        let chain = vec![certificate.der().clone(), self.der.clone()];
        let private = PrivatePkcs8KeyDer::from(self.host_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .context("no TLS version")?
            .with_no_client_auth()
            .with_single_cert(chain, private.into())
            .context("the certificate cannot be used")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let mut made = self.made.borrow_mut();
        if made.len() >= KEPT_MAX {
            made.clear();
        }
        made.insert(key, config.clone());
        Ok(config)
    }
}

/// A configuration without any certificate. The client gets a TLS alert that says so.
///
/// # Errors
/// Never in practice, because the provider supports its own protocol versions.
pub fn no_certificate() -> Result<Arc<ServerConfig>> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .context("no TLS version")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Nobody));
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// Year, month and day (UTC) of a moment.
fn day(at_ms: u64) -> Day {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at_ms).unwrap_or(i64::MAX));
    // Shape `2026-05-29T…`.
    let text = at.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    (part(0..4).parse().unwrap_or(1970), part(5..7).parse().unwrap_or(1), part(8..10).parse().unwrap_or(1))
}

fn set_validity(params: &mut CertificateParams, (from, until): (Day, Day)) {
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(until.0, until.1, until.2);
}
