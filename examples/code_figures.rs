//! How long the built-in Action takes in Node.js, how much CPU and how much memory: with Twilio's helper and by `fetch`.
//!
//! ```sh
//! lockstep twin --port 8181 --tls --ca-out ca.pem --build 1ms &
//! TWILIO_VERIFY_SID=VA… cargo run --release --example code_figures -- 8181 ca.pem 100
//! ```

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use lockstep::builtin;
use lockstep::model::secret::{Origin, Secret};
use lockstep::shell::code::{Call, Options, Runner, Source};
use serde_json::json;

/// Tells the most memory of the process, in kilobytes, and its CPU time, in milliseconds, after each send.
const TELLS: &str = "\nconst measured = exports.onExecuteCustomPhoneProvider;\nexports.onExecuteCustomPhoneProvider = async \
                     (event, api) => {\n  await measured(event, api);\n  const { maxRSS, userCPUTime, systemCPUTime } = \
                     process.resourceUsage();\n  console.log(maxRSS, Math.round((userCPUTime + systemCPUTime) / 1000));\n};\n";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, ca_file, count] = args.as_slice() else { anyhow::bail!("arguments: PORT CA-FILE COUNT") };
    let (port, count): (u16, usize) = (port.parse().context("a port")?, count.parse().context("a count")?);
    let cache = std::env::temp_dir().join("lockstep-code-figures");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let runner = Runner::new(Options::new(port, std::fs::canonicalize(ca_file)?, cache));
        for (name, dependencies) in
            [("twilio-verify", vec![("twilio".to_owned(), "6.2.0".to_owned())]), ("twilio-verify-fetch", vec![])]
        {
            let (mut cold, mut warm, mut memory, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            // The first one installs the packages and is not counted.
            for number in 0..=count {
                let code = builtin::source(name).context("it ships")?.to_owned() + TELLS;
                let source = Source { version: number.to_string(), code, dependencies: dependencies.clone() };
                for (is_cold, times) in [(true, &mut cold), (false, &mut warm)] {
                    let ran = runner.run(&source, call()).await;
                    ran.outcome?;
                    ensure!(ran.commands.is_empty(), "Twilio refused: {:?}", ran.commands);
                    if number > 0 {
                        times.push(ran.ms);
                        let (most, took) = ran.console.trim().split_once(' ').context("memory and CPU time")?;
                        memory.push(most.parse::<u64>().context("its memory")? / 1024);
                        if is_cold {
                            cpu.push(took.parse::<u64>().context("its CPU time")?);
                        }
                    }
                }
            }
            let [(cold_half, cold_most), (warm_half, warm_most), (cpu_half, cpu_most), (_, _)] =
                [&mut cold, &mut warm, &mut cpu, &mut memory].map(|all| {
                    all.sort_unstable();
                    (all[all.len() / 2], all[all.len() * 95 / 100])
                });
            let peak = memory.last().context("at least one")?;
            println!(
                "{name}: {count} cold calls: median {cold_half} ms, p95 {cold_most} ms, CPU median {cpu_half} ms, p95 \
                 {cpu_most} ms; {count} warm: median {warm_half} ms, p95 {warm_most} ms; peak memory {peak} MB"
            );
        }
        runner.end().await;
        Ok(())
    })
}

/// A send to a number of its own: five to one number would lock it out.
fn call() -> Call {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(5_550_000);
    let hex = "0123456789abcdef0123456789abcdef";
    let pairs = [
        ("TWILIO_ACCOUNT_SID", format!("AC{hex}")),
        ("TWILIO_VERIFY_SID", std::env::var("TWILIO_VERIFY_SID").unwrap_or_default()),
        ("TWILIO_API_KEY", format!("SK{hex}")),
        ("TWILIO_API_SECRET", "kEySeCrEt0123456789kEySeCrEt0123".to_owned()),
    ];
    let secrets: BTreeMap<String, Secret> =
        pairs.map(|(name, value)| (name.to_owned(), Secret::new(value, Origin::Machine))).into();
    let recipient = format!("+1500{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let notification = json!({ "recipient": recipient, "code": "483920", "delivery_method": "text" });
    let event = json!({ "notification": notification });
    Call::Action { handler: "onExecuteCustomPhoneProvider".into(), event, secrets }
}
