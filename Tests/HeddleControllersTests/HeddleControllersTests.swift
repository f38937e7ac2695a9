import Testing
@testable import HeddleControllers
