import Testing
@testable import KubeSandbox
