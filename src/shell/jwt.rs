//! Client authentication by private-key JWT: turns a PEM key into the signer that the engine's token request calls.
//!
//! Facts: Auth0 docs, "Authenticate with Private Key JWT" (2026-08). The algorithms are RS256, RS384 and PS256; `iss`
//! and `sub` are the client id; `aud` is `https://{domain}/`; `exp` is at most five minutes ahead; each `jti` is used
//! once.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding};
use secrecy::zeroize::Zeroizing;
use serde_json::json;

use crate::engine::Grant;
use crate::model::secret::{Origin, Secret};

/// Lifetime of an assertion. It is used at once; a minute allows for clocks that differ.
const LIFE_S: i64 = 60;

/// Signature algorithm. It must be the one that Auth0 has registered for the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Auth0's default.
    #[default]
    Rs256,
    Rs384,
    Ps256,
}

impl Algorithm {
    /// Reads the name as the manifest and the JWT header write it.
    pub fn parse(name: &str) -> Option<Algorithm> {
        [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Ps256].into_iter().find(|known| known.name() == name)
    }

    /// The name in the JWT header.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Ps256 => "PS256",
        }
    }

    fn padding(self) -> &'static dyn RsaEncoding {
        match self {
            Algorithm::Rs256 => &RSA_PKCS1_SHA256,
            Algorithm::Rs384 => &RSA_PKCS1_SHA384,
            Algorithm::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

/// Why a key cannot sign. Never holds a part of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    #[error("no PEM block in it; expected BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY")]
    NotPem,
    #[error("found {found}, needed an RSA private key (PKCS#8 or PKCS#1, PEM)")]
    Wrong { found: &'static str },
    #[error("the private key is encrypted; decrypt it first: openssl pkey -in KEY -out PLAIN")]
    Encrypted,
    #[error("the PEM block is damaged")]
    Damaged,
    #[error("the RSA key is too short; Auth0 takes 2048 bits and more")]
    TooShort,
    #[error("the RSA key cannot be used: {0}")]
    Rejected(String),
}

/// Reads a key and makes a grant of it. The key is read here, once, so that a bad key is reported before the first
/// request.
///
/// # Errors
/// See [`KeyProblem`].
pub fn assertion_grant(
    pem: &Secret,
    algorithm: Algorithm,
    key_id: Option<String>,
    client_id: &str,
    domain: &str,
) -> Result<Grant, KeyProblem> {
    let key = parse_key(pem.expose())?;
    let random = SystemRandom::new();
    let mut header = json!({ "alg": algorithm.name(), "typ": "JWT" });
    if let Some(key_id) = key_id {
        header["kid"] = key_id.into();
    }
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let (client_id, audience) = (client_id.to_owned(), format!("https://{domain}/"));
    Ok(Grant::Assertion(Rc::new(move |now_s, jti| {
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": jti,
            "iat": now_s,
            "exp": now_s.saturating_add(LIFE_S),
        });
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0u8; key.public().modulus_len()];
        key.sign(algorithm.padding(), &random, message.as_bytes(), &mut signature)
            .map_err(|_| format!("the private key cannot sign with {}", algorithm.name()))?;
        Ok(Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)), Origin::Machine))
    })))
}

fn parse_key(pem: &str) -> Result<KeyPair, KeyProblem> {
    let (label, body) = first_block(pem)?;
    let wrong = |found| Err(KeyProblem::Wrong { found });
    let der = |body: &str| {
        let text = Zeroizing::new(body.split_ascii_whitespace().collect::<String>());
        STANDARD.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| KeyProblem::Damaged)
    };
    let rejected = |error: ring::error::KeyRejected| match error.to_string().as_str() {
        "TooSmall" => KeyProblem::TooShort,
        "InvalidEncoding" => KeyProblem::Damaged,
        other => KeyProblem::Rejected(other.to_owned()),
    };
    match label {
        "PRIVATE KEY" => {
            let der = der(body)?;
            KeyPair::from_pkcs8(&der).map_err(|error| match error.to_string().as_str() {
                "WrongAlgorithm" => KeyProblem::Wrong { found: algorithm_of(&der) },
                _ => rejected(error),
            })
        }
        "RSA PRIVATE KEY" if body.contains("Proc-Type:") => Err(KeyProblem::Encrypted),
        "RSA PRIVATE KEY" => KeyPair::from_der(&der(body)?).map_err(rejected),
        "ENCRYPTED PRIVATE KEY" => Err(KeyProblem::Encrypted),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => wrong("a public key"),
        "EC PRIVATE KEY" | "EC PARAMETERS" => wrong("an EC private key"),
        "CERTIFICATE" => wrong("a certificate"),
        "CERTIFICATE REQUEST" => wrong("a certificate request"),
        "OPENSSH PRIVATE KEY" => wrong("an OpenSSH private key"),
        _ => wrong("a PEM block of another kind"),
    }
}

/// Label and body of the first PEM block.
fn first_block(pem: &str) -> Result<(&str, &str), KeyProblem> {
    let (_, rest) = pem.split_once("-----BEGIN ").ok_or(KeyProblem::NotPem)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyProblem::NotPem)?;
    let (body, end) = rest.split_once("-----END ").ok_or(KeyProblem::Damaged)?;
    if end.starts_with(label) { Ok((label, body)) } else { Err(KeyProblem::Damaged) }
}

/// Names the algorithm of a PKCS#8 key that is not plain RSA, by its object identifier.
fn algorithm_of(der: &[u8]) -> &'static str {
    let head = &der[..der.len().min(32)];
    let holds = |oid: &[u8]| head.windows(oid.len()).any(|window| window == oid);
    if holds(&[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]) {
        "an EC private key"
    } else if holds(&[0x06, 0x03, 0x2b, 0x65, 0x70]) {
        "an Ed25519 private key"
    } else if holds(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a]) {
        "an RSA key restricted to PSS"
    } else {
        "a private key of another algorithm"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    };

    /// TEST ONLY. Generated for this file with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`; no
    /// service knows this key.
    const TEST_ONLY_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCR/Zwnu1YadkGj
jXVNVxovDqRpPuVJfyQ+6iIH4G1IFF8PtcUHWPZ7kOf+uzHfzhSK1sFSTgVfwZHq
6AVmk8C1hG7/UGQxBALDajHOzLGh5v8QFyqDqWmqa5xYPM04b2A+XFMAqKVPiWOT
2pwLVeNucZXHEov/91uXFudqGWH1swpJIQ4Lp1w902ItzT+5nAnskY3TCBqBCeOw
geoXD67D8c1bPe0vadFx7gvw25EGJU3xph9LTVonikWjUzsHQ70a4GRUYh39WfSQ
V8+gxcjAzxvkSxpPsJi7L9uVscCckYEA2xD3H747l1B1hHODgouaR34vY0sHkl1a
Hjcq04dLAgMBAAECggEANIMyZ7JBevw9iQyJfJvPncyZBAhtJj429fB29DlcZbh6
Jyb9a7Kq2nCZmm2QN44jons0B5xr33E7wPDbfHW6NDCiUnEC0QS9z7fDmbzUSkXS
SmHi14AZM4VItA6OzPV2+4dvDcYbzFvBdz4DsiofSCtQMk6wEA7UIalJ7UabD2rf
ksms1wsB8Ki6b0tKS+KWmeLyfot0kqsdFoz/qj6VRj96gT7/vAvI1yf2mAtXYSVo
wsFM5Lh00vooFbg8fLvF2QIxpA4lNC11V24oYEAUV23l+oXFdRBumBZ0xRiItaE4
Gv9tFkzOkYOiuaYe4KdNncng8Or2B6C7iO6x6gtEfQKBgQDK9mQ7SqnGkSbJAlJt
O9SyGqNKJRuvRaPpo5zDU/uIL0LL+5uzHUZde2+57+vajhU+OFdnUT5bCEiu0Zie
BbvUQHPTv7WSJR0WLC4MGYjrHjwaaZieAJJ2j0LTwZ/yPcpxdMv6MSaFFR0uDc13
HmT/6GNHDG0EMPS2Jc6Oov4NJwKBgQC4I/fB19BTxr2wvY+1tLam47JTaODeTK9U
tz/hp2wCsQTlpBksPZfad79E6Yo66ztM1bMLP5VtfrDnw1S8lg+bALQy5xcZLfZM
DDzsHJ5BDhk12c8Kj7kVLCBSf7EzZrYZ0ANLYWXkS4A3+CT3fSa64m8lVZoE5GNx
knkDd3uTPQKBgQCWmY80I6moaooh+vQYk522bmedm71YJ8+BjOLEWSu6GH9zBoa4
uE8/DFmR2YHjkSwYGAxa4IDpYVM1TNb24oBF9XE8vPLIt3tGuY+NcOEUvUGRw6r4
CqqjCJhosjKxt8Hgv+6e/ht8Ane9dYZxDf+Zl+EalhDKXF0oTxNe6XijXwKBgQCU
flzj8xfLF3ANQTDNBYhuGRzLar48Rnb1yDk5zfuqR/p8/dJW/OyifwK9nd+dF+lg
Uszp+0KTZCFhJQIGerTm+LBYhEb6RThjp1LRzVpJeAcYiCcQi0pkKot+O/84RlH/
iuG9PjQe4Evr1q5o7oH3H3cmElv8KfmPsuDnzMjYuQKBgHx3SgCsyEb7OBjOUooC
YG3BTopk4iRF6W22huP1Y7qcPvgSCzW5qai9grJawTG9uJ7JIDbN/yl/BwKalp3n
HIokLbOqL7ZdwWr2nwK2qhUbRJf0RwR14AiIjbcruLvI2tnAu91AhFAWj5MhGhPR
GZaU7PEt1ioiC1txSP1LQh9C
-----END PRIVATE KEY-----
";

    /// TEST ONLY. Generated likewise with `-algorithm EC -pkeyopt ec_paramgen_curve:P-256`.
    const TEST_ONLY_EC_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtdJsu85d0Qfzn6Dx
MiHQlpUcBGAfxxLP3dCxulCHN9KhRANCAATkAUhg/FFIxeGM6pvJt/WEuKo5TIib
vKRs5UixrZKFet6qxD3MtjPzmXmfq2es4aAXoEjZW2Vr9xz+yPh2DxOH
-----END PRIVATE KEY-----
";

    /// In PKCS#8 with a 2048-bit RSA key, the PKCS#1 key begins after this many bytes.
    const PKCS8_HEAD_BYTES: usize = 26;

    fn test_key_as_pkcs1() -> String {
        let (_, body) = first_block(TEST_ONLY_KEY).expect("well-formed");
        let der = STANDARD.decode(body.replace('\n', "")).expect("well-formed");
        let body = STANDARD.encode(&der[PKCS8_HEAD_BYTES..]);
        format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n")
    }

    fn sign(pem: &str, algorithm: Algorithm, key_id: Option<&str>) -> String {
        let pem = Secret::new(pem, Origin::Person);
        let grant =
            assertion_grant(&pem, algorithm, key_id.map(str::to_owned), "client-1", "acme.auth0.example");
        match grant.expect("usable") {
            Grant::Assertion(signer) => signer(1_790_000_000, "jti-1").expect("signed").expose().to_owned(),
            Grant::ClientSecret(_) => unreachable!("an assertion was asked for"),
        }
    }

    fn part(text: &str) -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("JSON")
    }

    #[test]
    fn the_signature_holds_for_every_algorithm_and_both_key_forms() {
        let public = parse_key(TEST_ONLY_KEY).expect("usable").public().as_ref().to_vec();
        let table: [(Algorithm, &'static dyn VerificationAlgorithm); 3] = [
            (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
            (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
        ];
        for pem in [TEST_ONLY_KEY.to_owned(), test_key_as_pkcs1(), TEST_ONLY_KEY.replace('\n', "\r\n")] {
            for (algorithm, verify) in table {
                let assertion = sign(&pem, algorithm, None);
                let (message, signature) = assertion.rsplit_once('.').expect("three parts");
                let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url without padding");
                let key = UnparsedPublicKey::new(verify, &public);
                assert!(key.verify(message.as_bytes(), &signature).is_ok(), "{}", algorithm.name());
                assert_eq!(part(message.split('.').next().expect("header"))["alg"], algorithm.name());
                assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
            }
        }
    }

    #[test]
    fn header_and_claims_are_what_auth0_asks_for() {
        let assertion = sign(TEST_ONLY_KEY, Algorithm::Rs256, Some("kid-1"));
        let parts: Vec<&str> = assertion.split('.').collect();
        assert_eq!(part(parts[0]), json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" }));
        let claims = json!({
            "iss": "client-1", "sub": "client-1", "aud": "https://acme.auth0.example/", "jti": "jti-1",
            "iat": 1_790_000_000, "exp": 1_790_000_060,
        });
        assert_eq!(part(parts[1]), claims);
    }

    #[test]
    fn a_wrong_key_is_told_by_what_was_found() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        let encrypted_pkcs1 = block("RSA PRIVATE KEY").replace("AAAA", "Proc-Type: 4,ENCRYPTED\n\nAAAA");
        let wrong = |found| KeyProblem::Wrong { found };
        let table = [
            (block("ENCRYPTED PRIVATE KEY"), KeyProblem::Encrypted),
            (encrypted_pkcs1, KeyProblem::Encrypted),
            (block("PUBLIC KEY"), wrong("a public key")),
            (block("EC PRIVATE KEY"), wrong("an EC private key")),
            (block("CERTIFICATE"), wrong("a certificate")),
            (block("OPENSSH PRIVATE KEY"), wrong("an OpenSSH private key")),
            (TEST_ONLY_EC_KEY.to_owned(), wrong("an EC private key")),
            (block("PRIVATE KEY"), KeyProblem::Damaged),
            (TEST_ONLY_KEY.replace("MII", "M!I"), KeyProblem::Damaged),
            (TEST_ONLY_KEY.replace("END PRIVATE", "END OTHER"), KeyProblem::Damaged),
            ("hunter2".to_owned(), KeyProblem::NotPem),
            (String::new(), KeyProblem::NotPem),
        ];
        for (pem, problem) in table {
            assert_eq!(parse_key(&pem).err(), Some(problem), "{}", pem.lines().next().unwrap_or_default());
        }
    }
}
