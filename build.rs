//! Says in a sentence that this system will not do, before a dependency says it in a hundred lines.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if system != "linux" {
        println!(
            "cargo::error=Weir runs on Linux only, not on {system}: its executor needs io_uring; build it on Linux 5.8 or later, in a virtual machine if need be"
        );
    }
}
