//! The key that signs the tokens of one run. Node.js makes it: the libraries of this program use RSA keys, and make none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_front::Signer;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;

/// Prints a new key as PKCS#8 in base64.
const SCRIPT: &str = "process.stdout.write(require('node:crypto').generateKeyPairSync('rsa', { modulusLength: 2048 })\
                      .privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'))";

/// A signer with a key of its own. Without Node.js its signatures are empty, and no client takes its tokens; nothing that
/// asks for a code works without Node.js either.
pub async fn signer() -> Signer {
    match made().await {
        Some(key) => {
            let PublicKeyComponents { n, e }: PublicKeyComponents<Vec<u8>> = key.public().into();
            Signer::new(
                n,
                e,
                Box::new(move |text| {
                    let mut signature = vec![0; key.public().modulus_len()];
                    match key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature) {
                        Ok(()) => signature,
                        Err(_) => Vec::new(),
                    }
                }),
            )
        }
        None => Signer::new(Vec::new(), Vec::new(), Box::new(|_| Vec::new())),
    }
}

async fn made() -> Option<KeyPair> {
    let path = std::env::var_os("PATH")?;
    let mut node = std::process::Command::new("node");
    node.args(["-e", SCRIPT]).env_clear().env("PATH", path).stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || node.output()).await.ok()?.ok()?;
    let der = STANDARD.decode(output.stdout).ok()?;
    KeyPair::from_pkcs8(&der).ok()
}
