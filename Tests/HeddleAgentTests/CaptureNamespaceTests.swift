import Foundation
import Testing

@testable import heddle_agent

/// The rules on a real kernel: a pod's namespace and a peer's, joined by a cable, and every kind of connection.
@Suite(.enabled(if: NamespacePair.isAvailable), .serialized)
struct CaptureNamespaceTests {
    enum Place: String, Sendable { case inboundPort, outboundPort, app, excluded, peer, other }

    struct Dial: Sendable, CustomTestStringConvertible {
        let what: String
        let fromPeer: Bool
        var uid: UInt32 = 0
        var source: String?
        let to: String
        let port: UInt16
        let reaches: Place
        var testDescription: String { what }
    }

    static let dials = [
        Dial(
            what: "a client outside reaches Envoy", fromPeer: true, to: "10.77.0.1", port: 8080, reaches: .inboundPort),
        Dial(
            what: "a client's probe of the agent is left alone", fromPeer: true, to: "10.77.0.1", port: 15021,
            reaches: .excluded),
        Dial(
            what: "the application's call goes to Envoy", fromPeer: false, to: "10.77.0.2", port: 9000,
            reaches: .outboundPort),
        Dial(
            what: "a call to an address that is nowhere goes to Envoy", fromPeer: false, to: "10.96.0.10", port: 80,
            reaches: .outboundPort),
        Dial(
            what: "Envoy's own call goes out", fromPeer: false, uid: 1337, to: "10.77.0.2", port: 9000, reaches: .peer),
        Dial(what: "loopback stays", fromPeer: false, to: "127.0.0.1", port: 8080, reaches: .app),
        Dial(what: "Envoy's loopback stays", fromPeer: false, uid: 1337, to: "127.0.0.1", port: 8080, reaches: .app),
        Dial(
            what: "the application's call to its own address stays", fromPeer: false, to: "10.77.0.1", port: 8080,
            reaches: .app),
        Dial(
            what: "Envoy's call to the pod's own address comes in", fromPeer: false, uid: 1337, to: "10.77.0.1",
            port: 8080, reaches: .inboundPort),
        Dial(
            what: "Envoy's hand-over to the application is left alone", fromPeer: false, uid: 1337, source: "127.0.0.6",
            to: "10.77.0.1", port: 8080, reaches: .app),
        Dial(
            what: "an excluded destination port goes out directly", fromPeer: false, to: "10.77.0.2", port: 9001,
            reaches: .other),
    ]

    @Test func everyConnectionGoesWhereTheRulesSay() async throws {
        let pair = try await NamespacePair()
        defer { pair.remove() }
        var rules = CaptureRules()
        rules.excludeOutboundPorts = [9001]
        // Twice: loading again replaces the table and changes nothing.
        try await pair.loadRules(rules.render())
        try await pair.loadRules(rules.render())
        let listeners: [(Place, Listening)] = [
            (.inboundPort, try pair.listen(inPeer: false, port: 15006)),
            (.outboundPort, try pair.listen(inPeer: false, port: 15001)),
            (.app, try pair.listen(inPeer: false, port: 8080)),
            (.excluded, try pair.listen(inPeer: false, port: 15021)),
            (.peer, try pair.listen(inPeer: true, port: 9000)),
            (.other, try pair.listen(inPeer: true, port: 9001)),
        ]
        for dial in Self.dials {
            let connection = try pair.dial(
                fromPeer: dial.fromPeer, uid: dial.uid, source: dial.source, to: dial.to, port: dial.port)
            let reached = listeners.filter { $0.1.acceptsOne() }.map(\.0)
            #expect(reached == [dial.reaches], "\(dial.what)")
            connection.close()
        }
        for (_, listener) in listeners { listener.close() }
    }

    @Test func withoutRulesNothingIsRedirected() async throws {
        let pair = try await NamespacePair()
        defer { pair.remove() }
        let envoy = try pair.listen(inPeer: false, port: 15006)
        let app = try pair.listen(inPeer: false, port: 8080)
        let connection = try pair.dial(fromPeer: true, uid: 0, source: nil, to: "10.77.0.1", port: 8080)
        #expect(app.acceptsOne())
        #expect(!envoy.acceptsOne())
        for descriptor in [connection, envoy, app] { descriptor.close() }
    }
}
