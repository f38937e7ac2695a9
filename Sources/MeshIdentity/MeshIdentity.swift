/// Identities of workloads and the certificates that prove them.
///
/// In come signing requests, identities that somebody else has authenticated, and the time; out go certificates, trust
/// bundles and points in time for renewal. This room knows no Kubernetes, no sockets, no files and no clock.
enum MeshIdentityRoom {}
