/// Whoever configures the mesh: gives what a proxy should have at this moment.
package protocol ProxyConfigurationSource: Sendable {
    /// Called on the proxy's own task, once per change and proxy, so it must be quick, and safe to call from many
    /// tasks.
    ///
    /// - Parameter requested: Names of clusters that the proxy has asked for because a request needs them (on-demand
    ///   discovery), and of those that it brought along when it connected. What is not in the answer does not exist.
    func resources(for proxy: ProxyIdentity, requested: Set<String>) -> ResourceSet
}
