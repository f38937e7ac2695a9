import KubeCore

/// A cache shows less than the API server has: the look is repeated.
struct CacheBehind: Error, CustomStringConvertible {
    var description: String { "the cache is behind the API server; looking again" }

    /// Returns when the API server does not have an object that a cache lacks.
    /// - Throws: `CacheBehind` when it has; `APIError` when it does not say.
    static func check(
        _ resource: GroupVersionResource, namespace: String, name: String, api: any ClusterAPI
    ) async throws {
        do {
            _ = try await api.get(resource, namespace: namespace, name: name)
        } catch {
            if error.isNotFound { return }
            throw error
        }
        throw CacheBehind()
    }
}
