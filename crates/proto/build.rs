//! Compiles `proto/` without a system `protoc`.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let parts = [
        "envoy/service/auth/v3/external_auth.proto",
        "envoy/service/accesslog/v3/als.proto",
        "envoy/data/accesslog/v3/accesslog.proto",
    ];
    let descriptors = protox::compile(parts.map(|part| root.join(part)), [&root])?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        // What is left as it came is not copied.
        .bytes(".envoy.service.accesslog.v3")
        .bytes(".envoy.config.core.v3.Metadata")
        .compile_fds(descriptors)?;
    Ok(())
}
