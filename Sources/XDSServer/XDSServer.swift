/// Serves configuration to Envoys over the aggregated, incremental discovery protocol.
///
/// In come resources for a proxy, from whoever configures the mesh, and the word that something has changed; out go the
/// differences, in an order that never breaks traffic, and what every proxy has taken or refused. This room knows no
/// Kubernetes and looks into no resource.
enum XDSServerRoom {}
