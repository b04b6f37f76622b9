//! The key that signs the tokens of one run. Node.js makes it: the libraries of this program use RSA keys, and make none.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_front::Signer;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;

use super::super::code;

/// Longest time in which a key is made.
const MADE_MAX: Duration = Duration::from_secs(30);
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
    let node = code::find(&std::env::var_os("PATH")?).await.ok()?;
    let mut command = tokio::process::Command::new(&node.program);
    command.args(["-e", SCRIPT]).env_clear().stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(MADE_MAX, command.output()).await.ok()?.ok()?;
    let der = STANDARD.decode(output.stdout).ok()?;
    KeyPair::from_pkcs8(&der).ok()
}
