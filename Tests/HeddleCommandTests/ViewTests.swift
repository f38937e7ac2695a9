import Foundation
import HeddleAPI
import KubeCore
import Testing

@testable import heddle

@Suite struct ViewTests {
    @Test func anAdoptionShowsItsPhasesWorkloadsAndBlockers() {
        let lines = AdoptionView(Fixtures.adoption(), now: Fixtures.now).lines()
        #expect(
            lines == [
                "Adoption shop/shop  target Traffic, approval automatic",
                "Phase     Pending > Observe > [Strict] > Resilience > Traffic",
                "State     Blocked; in Strict for 100 s",
                "Message   legacy-batch still speaks plaintext.",
                "Measured  added latency p50/p99 - / 1.84 ms, largest sidecar 42 MiB, in plaintext 12 (3 s ago)",
                "",
                "WORKLOAD  STATE   MTLS        PODS  MESSAGE",
                "cart      Strict  STRICT       2/2",
                "catalog   Meshed  PERMISSIVE   1/3  2 of its pods run without a sidecar.",
                "",
                "BLOCKED BY        WORKLOAD  CLIENT             PORT  COUNT  SINCE",
                "PlaintextClients  catalog   shop/legacy-batch  8080     12   40 s",
                "    shop/legacy-batch sent 12 requests in plaintext to catalog:8080 within the last 15 s. Give it a",
                "    sidecar, or an exception with an owner and an end.",
            ])
    }

    @Test func aReleaseShowsItsStepWeightsPodsAndEvidence() {
        let lines = CanaryView(Fixtures.canary(), now: Fixtures.now).lines()
        #expect(
            lines.prefix(8) == [
                "Canary shop/catalog  Deployment catalog, Service catalog:80, run 0a1b2c3d",
                "Phase     Progressing, step 2 of 3 (25 %) for 20 s; release started 70 s ago",
                "Steps     5 % > [25 %] > 50 % > promote > bake",
                "Traffic   desired 25 % to the canary, measured 24.6 % (246 of 1000 requests)",
                "Pods      stable 3 ready (7d9f), canary 1 ready (55c8)",
                "Waiting   for step duration, deadline in 5 min",
                "Message   Step 2 (25 %): 40 s of its duration left.",
                "",
            ])
        #expect(lines.dropFirst(8).first == "METRIC              CANARY FAILED        STABLE FAILED   HARM SHOWN")
        #expect(lines.last == "    no data: Empty: the answer has no series")
    }

    @Test func evidenceIsSetAgainstTheSharedAlpha() throws {
        let canary = Fixtures.canary()
        let rows = EvidenceTable(spec: canary.spec, status: canary.status).lines()
        let ratio = try #require(rows.first { $0.hasPrefix("success-ratio") })
        #expect(ratio.contains("40 of 400 (10 %)"))
        #expect(ratio.contains("2 of 1200 (0.167 %)"))
        // Two metrics share an alpha of 0.01, so each needs 200; 40 failures against 0 expected ones are far beyond it.
        let strength = try #require(ratio.split(separator: " ").suffix(3).first)
        #expect(ratio.hasSuffix(" of 200"))
        #expect((Double(strength) ?? 0) > 1e5)
        let latency = try #require(rows.first { $0.hasPrefix("latency > 100ms") })
        // Without data nothing speaks for either side.
        #expect(latency.hasSuffix(" 1 of 200"))
        #expect(latency.contains("0 of 0"))
    }

    @Test func proofOfSafetyHasAColumnOnlyWhereItIsAskedFor() {
        var canary = Fixtures.canary()
        #expect(!CanaryView(canary, now: Fixtures.now).lines().contains { $0.contains("SAFETY SHOWN") })
        canary.spec.analysis.advanceOn = .provenSafe
        #expect(CanaryView(canary, now: Fixtures.now).lines().contains { $0.contains("SAFETY SHOWN") })
    }

    @Test func aReleaseAtRestShowsNoTraffic() {
        var canary = Fixtures.canary()
        canary.status = CanaryStatus()
        canary.status.message = "No change waits."
        #expect(
            CanaryView(canary, now: Fixtures.now).lines() == [
                "Canary shop/catalog  Deployment catalog, Service catalog:80",
                "Phase     Idle",
                "Message   No change waits.",
            ])
    }

    @Test func aPassedDeadlineIsSaid() {
        var canary = Fixtures.canary()
        canary.status.deadlineAt = Fixtures.ago(1)
        #expect(CanaryView(canary, now: Fixtures.now).lines().contains("Waiting   for step duration, deadline passed"))
    }

    @Test func anUnseenSpecIsSaid() {
        var canary = Fixtures.canary()
        canary.object.json[path: "metadata", "generation"] = 3
        canary.status.observedGeneration = 2
        let note = "Note      The latest spec (generation 3) has not been looked at yet."
        #expect(CanaryView(canary, now: Fixtures.now).lines().contains(note))
        canary.status.observedGeneration = 3
        #expect(!CanaryView(canary, now: Fixtures.now).lines().contains(note))
    }

    @Test func decisionsAreExplainedOldestFirst() {
        let lines = ExplainView(Fixtures.decisions(), title: "Canary shop/catalog").lines()
        #expect(
            lines == [
                "Canary shop/catalog  2 decisions, oldest first",
                "",
                "2027-01-15 07:58:50 UTC  phase Idle  change  Pass -> Start",
                "  rule         the template differs from the stable one",
                "  because      run 0a1b2c3d releases v1:b against v1:a",
                "",
                "2027-01-15 07:59:50 UTC  step 2 (25 %)  success-ratio  Fail -> RollBack",
                "  n            246 canary, 754 stable",
                "  estimate     0.987805 against 0.998674",
                "  rule         sequential comparison with stable, alpha 0.005",
                "  query        sum(rate(x[1m]))",
                "  because      3 of 246 canary requests failed",
                "  would change a canary that fails no more often than stable",
            ])
        #expect(ExplainView([]).lines() == ["  No decision is on record."])
    }

    @Test func theClusterShowsOneRowAnObject() {
        var status = ServicePolicyStatus()
        status.conditions = [
            Condition(type: "Programmed", status: .false, reason: "FieldConflict", message: "kubectl owns spec.http."),
            Condition(type: "Accepted", status: .true, reason: "Accepted", message: ""),
        ]
        let policy = ServicePolicy(
            namespace: "shop", name: "payment", spec: ServicePolicySpec(service: "payment"), status: status)
        let bad = StatusView.Unreadable(
            kind: "Canary", key: ObjectKey(namespace: "shop", name: "cart"),
            problem: FieldError(path: "spec.steps", message: "needs at least one step"))
        let view = StatusView(
            meshes: [Fixtures.mesh()], adoptions: [Fixtures.adoption()], canaries: [Fixtures.canary()],
            servicePolicies: [policy], unreadable: [bad], now: Fixtures.now)
        #expect(
            view.lines() == [
                "MESH     PROVIDER  TRUST DOMAIN   PROXIES  SYNCED  CA ENDS",
                "default  Native    cluster.local       14      13  in 90 d",
                "  Ready                       False, NotReady: One proxy rejected its configuration.",
                "  CertificateAuthorityReady   CertificateAuthorityReady",
                "",
                "NAMESPACE  ADOPTION  PHASE   TARGET   STATE    MESHED  STRICT  MESSAGE",
                "shop       shop      Strict  Traffic  Blocked     1/2     1/2  legacy-batch still speaks plaintext.",
                "",
                "NAMESPACE  CANARY   PHASE        STEP  DESIRED  MEASURED  MESSAGE",
                "shop       catalog  Progressing   2/3     25 %    24.6 %  Step 2 (25 %): 40 s of its duration left.",
                "",
                "NAMESPACE  SERVICEPOLICY  SERVICE  PROGRAMMED  READY    MESSAGE",
                "shop       payment        payment  False       Unknown  kubectl owns spec.http.",
                "",
                "Canary shop/cart is not valid: spec.steps: needs at least one step",
            ])
    }

    @Test func anEmptyClusterSaysHowToBegin() {
        #expect(
            StatusView(meshes: [], now: Fixtures.now).lines() == [
                "No Mesh: apply one, named default, to begin.", "", "No Adoption, Canary or ServicePolicy.",
            ])
    }

    @Test func noLineIsWiderThanTheScreen() {
        var adoption = Fixtures.adoption()
        adoption.status.message = String(repeating: "a long sentence about the state of things ", count: 9)
        adoption.status.workloads[0].message = adoption.status.message
        var canary = Fixtures.canary()
        canary.status.message = adoption.status.message
        var record = Fixtures.decisions()[0]
        record.query = String(repeating: "envoy_heddle_requests_total{destination_service=\"catalog.shop\"}", count: 4)
        let pages = [
            AdoptionView(adoption, now: Fixtures.now).lines(), CanaryView(canary, now: Fixtures.now).lines(),
            ExplainView([record]).lines(),
            StatusView(meshes: [Fixtures.mesh()], adoptions: [adoption], canaries: [canary], now: Fixtures.now).lines(),
        ]
        for page in pages {
            for line in page { #expect(line.count <= 100, "\(line)") }
        }
    }

    @Test func coloursAddNothingButEscapeSequences() throws {
        let view = CanaryView(Fixtures.canary(), now: Fixtures.now)
        let coloured = view.lines(colour: true)
        #expect(coloured != view.lines())
        let escape = try Regex("\u{1B}\\[[0-9;]*m")
        #expect(coloured.map { $0.replacing(escape, with: "") } == view.lines())
    }

    @Test func textOfOthersCannotMoveTheCursor() {
        var adoption = Fixtures.adoption()
        adoption.status.blockers[0].client = "evil\u{1B}[2Jname\r"
        for line in AdoptionView(adoption, now: Fixtures.now).lines() {
            #expect(!line.unicodeScalars.contains { $0.value < 32 })
        }
    }
}

@Suite struct TextTableTests {
    @Test func theFlexibleColumnGivesWay() {
        var table = TextTable(["A", "TEXT", "N"], right: ["N"], flexible: "TEXT")
        table.add(["x", "a text that is much too long", "7"])
        #expect(table.lines(width: 24).map(\.plain) == ["A  TEXT                N", "x  a text that is mu~  7"])
    }

    @Test func theBorderCaseFitsExactly() {
        var table = TextTable(["A", "TEXT"], flexible: "TEXT")
        table.add(["x", "0123456789"])
        #expect(table.lines(width: 13).last?.plain == "x  0123456789")
        #expect(table.lines(width: 12).last?.plain == "x  01234567~")
    }

    @Test func missingCellsAreEmpty() {
        var table = TextTable(["A", "B"])
        table.add(["x"])
        #expect(table.lines(width: 80).last?.plain == "x")
    }

    @Test func longWordsAreCut() {
        #expect(Paragraph.lines("aa bbbbbbbbbbbb c", width: 10) == ["aa", "bbbbbbbbbb", "bb c"])
        #expect(Paragraph.lines("", width: 10).isEmpty)
    }

    @Test(arguments: [(-20.0, "0.001"), (0, "1"), (5.298317366548036, "200"), (25, "7e10")])
    func eValuesAreShort(logValue: Double, text: String) {
        #expect(EvidenceTable.eValue(logValue) == text)
    }
}

@Suite struct TerminalTests {
    @Test func coloursNeedATerminalAndNoObjection() {
        #expect(Terminal(isTerminal: true, environment: [:]).usesColour)
        #expect(Terminal(isTerminal: true, environment: ["NO_COLOR": ""]).usesColour)
        #expect(!Terminal(isTerminal: true, environment: ["NO_COLOR": "1"]).usesColour)
        #expect(!Terminal(isTerminal: true, environment: ["TERM": "dumb"]).usesColour)
        #expect(!Terminal(isTerminal: false, environment: [:]).usesColour)
    }

    @Test func theWidthStaysReadable() {
        #expect(Terminal(isTerminal: true, environment: [:]).width == 100)
        #expect(Terminal(isTerminal: true, environment: ["COLUMNS": "132"]).width == 132)
        #expect(Terminal(isTerminal: true, environment: ["COLUMNS": "3"]).width == 60)
        #expect(Terminal(isTerminal: true, environment: ["COLUMNS": "x"]).width == 100)
    }
}
