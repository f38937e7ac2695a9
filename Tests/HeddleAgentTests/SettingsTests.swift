import ArgumentParser
import EnvoyConfig
import Logging
import MeshIdentity
import Testing

@testable import heddle_agent

@Suite struct ProxySettingsTests {
    static let pod = [
        "POD_NAME": "cart-1", "POD_NAMESPACE": "shop", "POD_IP": "10.1.2.3", "SERVICE_ACCOUNT": "cart",
        "NODE_NAME": "n1",
        "HEDDLE_POD_LABELS": #"{"app":"cart","pod-template-hash":"abc"}"#,
    ]

    @Test func theInjectorsEnvironmentIsEnough() throws {
        let settings = try ProxySettings(environment: Self.pod)
        #expect(try settings.identity.uri == "spiffe://cluster.local/ns/shop/sa/cart")
        #expect(settings.discovery == .init(host: "heddle-operator.heddle-system.svc", port: 15012))
        #expect(settings.authority == .init(host: "heddle-operator.heddle-system.svc", port: 443))
        #expect(settings.labels["pod-template-hash"] == "abc")
        #expect(settings.drainSeconds == 5)
    }

    @Test(arguments: ["POD_NAME", "POD_NAMESPACE", "POD_IP"]) func aMissingVariableIsNamed(name: String) {
        var environment = Self.pod
        environment[name] = nil
        let problem = #expect(throws: ProxySettings.Problem.self) { try ProxySettings(environment: environment) }
        #expect(problem?.description.contains(name) == true)
    }

    @Test(arguments: [
        ("HEDDLE_DISCOVERY_ADDRESS", "operator"), ("HEDDLE_DRAIN_SECONDS", "soon"), ("HEDDLE_APP_PROBES", "{"),
        ("HEDDLE_POD_LABELS", "{1}"), ("HEDDLE_LOG_LEVEL", "loud"), ("HEDDLE_CA_ADDRESS", "operator:0"),
    ])
    func aWrongVariableIsRefused(name: String, value: String) {
        let environment = Self.pod.merging([name: value]) { _, new in new }
        #expect(throws: ProxySettings.Problem.self) { try ProxySettings(environment: environment) }
    }

    @Test func labelsAreReadInBothForms() throws {
        #expect(try ProxySettings.labels("app=\"cart\"\ntier=\"\"\n") == ["app": "cart", "tier": ""])
        #expect(try ProxySettings.labels("{}").isEmpty)
    }

    @Test func optionsBeatTheEnvironment() throws {
        let command = try ProxyCommand.parse(["--discovery-address", "127.0.0.1:5", "--drain-seconds", "1"])
        let settings = try command.settings(environment: Self.pod)
        #expect(settings.discovery == .init(host: "127.0.0.1", port: 5))
        #expect(settings.drainSeconds == 1)
    }
}

@Suite struct EnvoyActivityTests {
    @Test func onlyRequestsAndTCPConnectionsCount() {
        let activity = EnvoyActivity(
            stats: """
                http.inbound_mtls_8080.downstream_cx_active: 7
                http.inbound_mtls_8080.downstream_rq_active: 2
                http.outbound_x.downstream_rq_active: 1
                http.stats.downstream_rq_active: 1
                listener.0.0.0.0_15006.downstream_cx_active: 7
                tcp.inbound_3306_mtls.downstream_cx_active: 1
                """)
        #expect(activity.requests == 3)
        #expect(activity.tcpConnections == 1)
        #expect(!activity.isQuiet)
        #expect(EnvoyActivity(stats: "").isQuiet)
    }
}

@Suite struct RestartPolicyTests {
    @Test func itWaitsLongerEachTimeAndGivesUp() {
        var policy = RestartPolicy()
        let delays = (0..<7).map { _ in policy.delay(afterRunOf: .seconds(1)) }
        #expect(
            delays == [
                .milliseconds(200), .milliseconds(400), .milliseconds(800), .milliseconds(1600), .milliseconds(3200),
                .seconds(5), nil,
            ])
    }

    @Test func aLongRunForgivesEarlierDeaths() {
        var policy = RestartPolicy()
        for _ in 0..<6 { _ = policy.delay(afterRunOf: .zero) }
        #expect(policy.delay(afterRunOf: .seconds(120)) == .milliseconds(200))
    }
}
