import Foundation
import Testing

@testable import MeshIdentity

@Suite struct RotationScheduleTests {
    let now = Date(timeIntervalSince1970: 1_800_000_000)
    let schedule = RotationSchedule()

    @Test(arguments: [(0.0, 500.0), (0.5, 650), (1, 800), (-3, 500), (9, 800)])
    func aRenewalFallsBetweenHalfAndFourFifthsOfTheLifetime(random: Double, expected: Double) {
        let delay = schedule.delay(received: now, notAfter: now.addingTimeInterval(1000), now: now, random: random)
        #expect(abs(delay.inSeconds - expected) < 0.001)
    }

    @Test func aRenewalThatIsOverdueIsDueNow() {
        let late = now.addingTimeInterval(5000)
        #expect(schedule.delay(received: now, notAfter: now.addingTimeInterval(1000), now: late, random: 0.5) == .zero)
    }

    @Test func aShortCertificateIsNotRenewedInALoop() {
        let delay = schedule.delay(received: now, notAfter: now.addingTimeInterval(60), now: now, random: 0)
        #expect(delay == .seconds(30))
    }

    @Test func retriesDoubleUpToABoundAndComeBeforeTheEnd() {
        let end = now.addingTimeInterval(86_400)
        let waits = (1...12).map { schedule.retryDelay(failures: $0, notAfter: end, now: now, random: 1).inSeconds }
        #expect(waits[0] == 1 && waits[1] == 2 && waits[4] == 16 && waits[11] == 300)
        #expect(schedule.retryDelay(failures: 3, notAfter: end, now: now, random: 0).inSeconds == 2)
        let soon = now.addingTimeInterval(100)
        #expect(schedule.retryDelay(failures: 12, notAfter: soon, now: now, random: 1).inSeconds == 10)
        #expect(schedule.retryDelay(failures: 99, notAfter: now, now: now, random: 1).inSeconds == 1)
    }
}
