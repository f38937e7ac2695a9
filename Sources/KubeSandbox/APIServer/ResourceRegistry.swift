import KubeCore
import Synchronization

/// Which resources exist now: the built-in ones and those of the installed CustomResourceDefinitions.
final class ResourceRegistry: Sendable {
    private struct Path: Hashable {
        var group: String
        var version: String
        var resource: String
    }

    private struct State {
        var types: [Path: ResourceType] = [:]
        /// Paths that came from a definition, by the definition's name.
        var custom: [String: [Path]] = [:]
        /// A counter for those who keep something computed from all types.
        var generation = 0
    }

    private let state: Mutex<State>

    init() {
        var state = State()
        for type in BuiltinResources.all {
            state.types[Path(group: type.group, version: type.version, resource: type.resource)] = type
        }
        self.state = Mutex(state)
    }

    var generation: Int { state.withLock(\.generation) }

    /// All types in order of group, version and resource.
    var all: [ResourceType] {
        state.withLock { Array($0.types.values) }
            .sorted { ($0.group, $0.version, $0.resource) < ($1.group, $1.version, $1.resource) }
    }

    func type(group: String, version: String, resource: String) -> ResourceType? {
        state.withLock { $0.types[Path(group: group, version: version, resource: resource)] }
    }

    func type(_ gvr: GroupVersionResource) -> ResourceType? {
        type(group: gvr.group, version: gvr.version, resource: gvr.resource)
    }

    /// Replaces what a definition provides.
    func install(_ types: [ResourceType], definition name: String) {
        state.withLock { state in
            for path in state.custom[name] ?? [] { state.types[path] = nil }
            state.custom[name] = types.map { type in
                let path = Path(group: type.group, version: type.version, resource: type.resource)
                state.types[path] = type
                return path
            }
            state.generation += 1
        }
    }

    func remove(definition name: String) { install([], definition: name) }
}
