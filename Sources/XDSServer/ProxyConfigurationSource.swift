/// Whoever configures the mesh: gives what a proxy should have at this moment.
package protocol ProxyConfigurationSource: Sendable {
    /// Called on the proxy's own task, once per change and proxy, so it must be quick, and safe to call from many
    /// tasks.
    func resources(for proxy: ProxyIdentity) -> ResourceSet
}
