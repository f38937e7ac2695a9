package import FoundationEssentials

/// What a proxy has of one type.
package struct TypeStatus: Sendable, Equatable {
    /// The version of the set that was sent last, and of the one that was taken last.
    package let sentVersion: String?
    package let acknowledgedVersion: String?
    package let isInSync: Bool
    /// Resources that the proxy refuses in their present version.
    package let rejected: [String]
    /// The last refusal, while any of its resources is still refused.
    package let lastRejection: Rejection?
}

/// What one connected proxy has.
package struct ProxyStatus: Sendable, Equatable {
    package let proxy: ProxyIdentity
    package let connectedSince: Date
    /// The generation of the hub from which the proxy's resources were last computed.
    package var generation: UInt64 = 0
    /// Whether the proxy has taken everything of that generation.
    package var isSynced = false
    package var types: [TypeURL: TypeStatus] = [:]
}

extension ProxyStatus: Encodable {
    private struct TypeView: Encodable {
        let sent, acked: String?
        let inSync: Bool
        let rejected: [String]
        let lastError: String?
    }

    private enum Key: CodingKey { case proxy, connectedSince, generation, synced, types }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(proxy, forKey: .proxy)
        try container.encode(connectedSince.formatted(.iso8601), forKey: .connectedSince)
        try container.encode(generation, forKey: .generation)
        try container.encode(isSynced, forKey: .synced)
        var views: [String: TypeView] = [:]
        for (type, status) in types {
            views[type.shortName] = TypeView(
                sent: status.sentVersion, acked: status.acknowledgedVersion, inSync: status.isInSync,
                rejected: status.rejected, lastError: status.lastRejection?.message)
        }
        try container.encode(views, forKey: .types)
    }
}
