import EnvoyAPI
import MeshModel
import SwiftProtobuf

/// Turns the destinations that a route names into clusters that exist.
///
/// A destination that cannot be had as named is replaced and reported, so that one wrong name costs that destination and
/// not the whole configuration: a missing subset becomes the whole service; a missing service or port becomes a cluster
/// without endpoints, which keeps the shares of the others as they are.
struct DestinationResolver {
    let context: ProxyContext
    let called: ServiceID
    let port: ServicePort
    let source: String

    private var builders: [ClusterBuilder] = []
    private var names: Set<String> = []
    private var notes: [String] = []

    init(context: ProxyContext, called: ServiceID, port: ServicePort, source: String) {
        self.context = context
        self.called = called
        self.port = port
        self.source = source
    }

    /// Adds the clusters that were named, and what was wrong, to the configuration.
    func flush(into draft: inout ConfigurationDraft, clusters: inout Set<String>) {
        for builder in builders { builder.build(into: &draft) }
        for note in notes { draft.note(source, note) }
        clusters.formUnion(names)
    }

    mutating func cluster(for destination: Destination) -> String {
        let name = resolve(destination)
        names.insert(name)
        return name
    }

    private mutating func resolve(_ destination: Destination) -> String {
        guard let service = context.snapshot.services[destination.service] else {
            notes.append("names the service \(destination.service), which does not exist: its share is answered 503")
            return ResourceNames.blackHoleCluster
        }
        guard let port = servicePort(of: service, asked: destination.port) else {
            let asked = destination.port ?? self.port.number
            notes.append("names port \(asked) of \(service.id), which it does not have: its share is answered 503")
            return ResourceNames.blackHoleCluster
        }
        var builder = ClusterBuilder(context: context, service: service, port: port)
        if let name = destination.subset {
            builder.subset = context.policy(for: service.id).subset(name)
            if builder.subset == nil {
                notes.append(
                    "names the subset \(name) of \(service.id), which no DestinationRule has: all endpoints serve")
            }
        }
        builders.append(builder)
        return builder.name
    }

    /// The port that is named, else the one that was called, else the only one.
    private func servicePort(of service: MeshService, asked: Int?) -> ServicePort? {
        if let asked { return service.port(asked) }
        return service.port(port.number) ?? (service.ports.count == 1 ? service.ports.first : nil)
    }

    // MARK: Weights

    /// Destinations with their shares: those with weight 0 left out, those that are one cluster added up.
    mutating func shares(_ destinations: [WeightedDestination]) -> [(cluster: String, weight: Int)] {
        let isUnweighted = destinations.allSatisfy { $0.weight <= 0 }
        // As the dialect says of such a rule: the first one gets everything.
        let counted = isUnweighted ? Array(destinations.prefix(1)) : destinations.filter { $0.weight > 0 }
        var shares: [(cluster: String, weight: Int)] = []
        for destination in counted {
            let name = cluster(for: destination.destination)
            let weight = isUnweighted ? 100 : destination.weight
            if let index = shares.firstIndex(where: { $0.cluster == name }) {
                shares[index].weight += weight
            } else {
                shares.append((name, weight))
            }
        }
        return shares
    }

    mutating func setDestinations(_ destinations: [WeightedDestination], on action: inout EnvoyRouteAction) {
        let shares = shares(destinations)
        guard let first = shares.first else {
            notes.append("has a rule without destinations: its requests are answered 503")
            action.cluster = ResourceNames.blackHoleCluster
            return
        }
        guard shares.count > 1 else {
            action.cluster = first.cluster
            return
        }
        action.weightedClusters.clusters = shares.map { share in
            .with {
                $0.name = share.cluster
                $0.weight = .init(clamping: share.weight)
            }
        }
    }
}
