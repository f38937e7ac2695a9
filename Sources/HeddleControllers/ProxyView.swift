package import FoundationEssentials
package import KubeCore

/// What controllers may know of the proxies that are connected to this replica.
package struct ProxyView: Sendable {
    /// Whether every connected proxy has acknowledged the configuration made from the caches as they are now.
    package var isSynced: @Sendable () -> Bool
    /// Pods with a connected proxy that has acknowledged everything.
    package var syncedPods: @Sendable () -> Set<ObjectKey>
    /// What proxies said against what was made of an object (`VirtualService shop/catalog`); nil: nothing.
    package var rejection: @Sendable (_ source: String) -> String?
    /// What a dialect could not take over from an object.
    package var problems: @Sendable (_ source: String) -> [FieldError]
    /// Connected proxies, and those of them that acknowledged everything.
    package var counts: @Sendable () -> (connected: Int, synced: Int)
    /// The end of the certificate of a pod's proxy; nil: not known to this replica.
    package var certificateNotAfter: @Sendable (_ pod: ObjectKey) -> Date? = { _ in nil }
    /// A number that differs after anything that this view says may have changed; nil: only the counts tell.
    package var revision: (@Sendable () -> UInt64)?

    package init(
        isSynced: @escaping @Sendable () -> Bool, syncedPods: @escaping @Sendable () -> Set<ObjectKey>,
        rejection: @escaping @Sendable (String) -> String?, problems: @escaping @Sendable (String) -> [FieldError],
        counts: @escaping @Sendable () -> (connected: Int, synced: Int)
    ) {
        self.isSynced = isSynced
        self.syncedPods = syncedPods
        self.rejection = rejection
        self.problems = problems
        self.counts = counts
    }

    /// What `ProxyWatch` compares.
    func fingerprint() -> [UInt64] {
        let counts = counts()
        return [UInt64(max(0, counts.connected)), UInt64(max(0, counts.synced)), revision?() ?? 0]
    }

    /// For a mesh whose proxies Heddle does not configure: nothing is known against them.
    package static let none = ProxyView(
        isSynced: { true }, syncedPods: { [] }, rejection: { _ in nil }, problems: { _ in [] }, counts: { (0, 0) })
}
