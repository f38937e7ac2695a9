import EnvoyAPI
import SwiftProtobuf

@testable import XDSServer

/// A resource with a body that this room never looks into.
func resource(_ type: TypeURL, _ name: String, _ content: String = "1", requires: Set<String> = []) -> XDSResource {
    XDSResource(
        name: name,
        body: .with {
            $0.typeURL = type.rawValue
            $0.value = .init("\(name)=\(content)".utf8)
        }, requires: requires)
}

/// A proxy and its stream, played by hand on a manual clock.
struct StreamHarness {
    var stream = DiscoveryStream(removalGrace: .seconds(5), endpointPatience: .seconds(5))
    var now = ContinuousClock.now

    /// What is sent, as `Cluster +a +b -c`, in order.
    mutating func sent() -> [String] { responses().map(text) }

    mutating func responses() -> [DeltaResponse] {
        var all: [DeltaResponse] = []
        while let response = stream.nextResponse(at: now) { all.append(response) }
        return all
    }

    func text(_ response: DeltaResponse) -> String {
        ([TypeURL(rawValue: response.typeURL).shortName]
            + response.resources.map { "+" + $0.name }.sorted() + response.removedResources.sorted().map { "-" + $0 })
            .joined(separator: " ")
    }

    mutating func subscribe(
        _ type: TypeURL, _ names: [String] = [], unsubscribe: [String] = [], has: [String: String] = [:]
    ) {
        _ = stream.receive(
            .with {
                $0.typeURL = type.rawValue
                $0.resourceNamesSubscribe = names
                $0.resourceNamesUnsubscribe = unsubscribe
                $0.initialResourceVersions = has
            })
    }

    @discardableResult
    mutating func acknowledge(_ response: DeltaResponse) -> DiscoveryStream.Outcome {
        stream.receive(
            .with {
                $0.typeURL = response.typeURL
                $0.responseNonce = response.nonce
            })
    }

    @discardableResult
    mutating func reject(_ response: DeltaResponse, _ message: String = "bad") -> DiscoveryStream.Outcome {
        stream.receive(
            .with {
                $0.typeURL = response.typeURL
                $0.responseNonce = response.nonce
                $0.errorDetail.message = message
            })
    }

    /// Answers everything with ACK until nothing is sent any more, as a proxy that asks for what it is referred to.
    mutating func settle() -> [String] {
        var log: [String] = []
        for _ in 0..<50 {
            let responses = responses()
            if responses.isEmpty { return log }
            for response in responses {
                log.append(text(response))
                acknowledge(response)
            }
        }
        return log + ["does not settle"]
    }

    /// A proxy that has taken a set with one service: its cluster, endpoints, listener and route.
    static func settled(_ set: ResourceSet) -> StreamHarness {
        var harness = StreamHarness()
        harness.stream.update(set)
        harness.subscribe(.cluster)
        harness.subscribe(.endpoints, set[.endpoints].keys.sorted())
        harness.subscribe(.listener)
        harness.subscribe(.route, set[.route].keys.sorted())
        _ = harness.settle()
        return harness
    }
}
