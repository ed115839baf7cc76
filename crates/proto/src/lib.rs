//! Generated code only: the part of Envoy's API that Exequatur speaks, from the files in `proto/`.
//!
//! The module tree follows the protobuf packages, since the generated code refers to itself by it.

/// `envoy.*`
pub mod envoy {
    /// `envoy.service.*`
    pub mod service {
        /// `envoy.service.accesslog.*`
        pub mod accesslog {
            /// `envoy.service.accesslog.v3`: the service that Envoy tells what came of requests, and its messages.
            pub mod v3 {
                tonic::include_proto!("envoy.service.accesslog.v3");
            }
        }
        /// `envoy.service.auth.*`
        pub mod auth {
            /// `envoy.service.auth.v3`: the service that Envoy asks, and its messages.
            pub mod v3 {
                tonic::include_proto!("envoy.service.auth.v3");
            }
        }
    }
    /// `envoy.data.*`
    pub mod data {
        /// `envoy.data.accesslog.*`
        pub mod accesslog {
            /// `envoy.data.accesslog.v3`: what an access log says of one request.
            pub mod v3 {
                tonic::include_proto!("envoy.data.accesslog.v3");
            }
        }
    }
    /// `envoy.config.*`
    pub mod config {
        /// `envoy.config.core.*`
        pub mod core {
            /// `envoy.config.core.v3`: headers and addresses.
            pub mod v3 {
                tonic::include_proto!("envoy.config.core.v3");
            }
        }
    }
    /// `envoy.type.*`
    pub mod r#type {
        /// `envoy.type.v3`: HTTP statuses.
        pub mod v3 {
            tonic::include_proto!("envoy.r#type.v3");
        }
    }
}

/// `google.*`
pub mod google {
    /// `google.rpc`: the status of a decision.
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}
