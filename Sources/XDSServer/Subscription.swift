/// What a proxy asks for of one type, what it has, and what is under way to it.
struct Subscription: Sendable {
    /// What the proxy knows of one name.
    enum Holding: Equatable, Sendable {
        case version(String)
        /// It has been told that there is no such resource.
        case absent
    }

    /// A response that has been sent and not yet been answered.
    struct InFlight: Sendable {
        let nonce: String
        let systemVersion: String
        /// What the response says, by name. A name goes when the proxy asks for it again meanwhile.
        var holdings: [String: Holding]
        let isRemoval: Bool
    }

    let type: TypeURL
    private(set) var isWildcard = false
    private(set) var names: Set<String> = []
    private(set) var held: [String: Holding] = [:]
    /// Versions that the proxy has refused. They are not sent again.
    private(set) var rejected: [String: String] = [:]
    private(set) var inFlight: InFlight?
    /// Names of a refused response, in groups that are sent one by one to find the culprit.
    private var isolating: [[String]] = []
    /// Since when a resource that is no longer wanted could be removed.
    var removableSince: [String: ContinuousClock.Instant] = [:]

    private(set) var sentVersion: String?
    private(set) var acknowledgedVersion: String?
    private(set) var lastRejection: Rejection?

    /// Begins with the first request of a type on a stream.
    init(type: TypeURL, subscribe: [String], initialVersions: [String: String]) {
        self.type = type
        held = initialVersions.mapValues { .version($0) }
        isWildcard = subscribe.contains("*") || (subscribe.isEmpty && type.allowsLegacyWildcard)
        names = Set(subscribe).subtracting(["*"])
    }

    func isInterested(in name: String) -> Bool { isWildcard || names.contains(name) }

    /// A later request. A name that is asked for again is sent again, as the protocol demands.
    mutating func change(subscribe: [String], unsubscribe: [String]) {
        for name in subscribe {
            if name == "*" {
                isWildcard = true
            } else {
                names.insert(name)
                forget(name)
                rejected[name] = nil
            }
        }
        for name in unsubscribe {
            if name == "*" {
                isWildcard = false
                held = held.filter { names.contains($0.key) }
            } else {
                names.remove(name)
                forget(name)
            }
        }
    }

    /// Makes the server send a name again even though the proxy has it.
    mutating func forget(_ name: String) {
        held[name] = nil
        inFlight?.holdings[name] = nil
        removableSince[name] = nil
    }

    /// Drops what no longer matters once the wish has changed.
    mutating func desire(_ desired: [String: XDSResource]) {
        if !rejected.isEmpty { rejected = rejected.filter { desired[$0.key]?.version == $0.value } }
        if !removableSince.isEmpty { removableSince = removableSince.filter { desired[$0.key] == nil } }
    }

    /// Resources that the proxy wants and does not have in this version, refused ones left out.
    func due(_ desired: [String: XDSResource]) -> [XDSResource] {
        var due: [XDSResource] = []
        func consider(_ resource: XDSResource) {
            guard held[resource.name] != .version(resource.version), rejected[resource.name] != resource.version,
                inFlight?.holdings[resource.name] != .version(resource.version)
            else { return }
            due.append(resource)
        }
        if isWildcard {
            for resource in desired.values { consider(resource) }
        } else {
            for name in names { if let resource = desired[name] { consider(resource) } }
        }
        return due
    }

    /// Names that the proxy asks for, that do not exist, and of which it has heard nothing.
    func unknown(_ desired: [String: XDSResource]) -> [String] {
        names.filter { desired[$0] == nil && held[$0] == nil && inFlight?.holdings[$0] == nil }
    }

    /// Names that the proxy has and that no longer exist.
    func obsolete(_ desired: [String: XDSResource]) -> [String] {
        held.compactMap { name, holding in
            guard desired[name] == nil, case .version = holding, inFlight?.holdings[name] != .absent else { return nil }
            return name
        }
    }

    /// The next of what is due: all, or one group while a culprit is sought.
    mutating func batch(of due: [XDSResource]) -> [XDSResource] {
        while let group = isolating.first {
            isolating.removeFirst()
            let members = Set(group)
            let found = due.filter { members.contains($0.name) }
            if !found.isEmpty { return found }
        }
        return due
    }

    mutating func sent(_ response: InFlight) {
        inFlight = response
        sentVersion = response.systemVersion
    }

    /// The proxy has taken a response. An answer to an older one says nothing.
    ///
    /// - Returns: What it has taken.
    mutating func acknowledge(nonce: String) -> InFlight? {
        guard let response = inFlight, response.nonce == nonce else { return nil }
        inFlight = nil
        acknowledgedVersion = response.systemVersion
        for (name, holding) in response.holdings where isInterested(in: name) {
            if holding == .absent, !names.contains(name) { held[name] = nil } else { held[name] = holding }
            removableSince[name] = nil
        }
        return response
    }

    /// The proxy has refused a response, as a whole: it does not say for which resource. One resource is known for the
    /// culprit; of several, halves are sent again.
    ///
    /// - Returns: The refusal, once it is down to one resource; nil while the culprit is sought.
    mutating func reject(nonce: String, message: String) -> Rejection? {
        guard let response = inFlight, response.nonce == nonce else { return nil }
        inFlight = nil
        var versions: [String: String] = [:]
        for (name, holding) in response.holdings where isInterested(in: name) {
            switch holding {
            case .version(let version): versions[name] = version
            // A refused removal is not sent again: the proxy would refuse it for ever.
            case .absent: held[name] = .absent
            }
        }
        let rejection = Rejection(type: type, message: message, versions: versions)
        lastRejection = rejection
        guard versions.count > 1 else {
            rejected.merge(versions) { $1 }
            return rejection
        }
        let sorted = versions.keys.sorted()
        let middle = sorted.count / 2
        isolating.insert(contentsOf: [Array(sorted[..<middle]), Array(sorted[middle...])], at: 0)
        return nil
    }
}
