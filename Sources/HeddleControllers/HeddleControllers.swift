enum HeddleControllersRoom {}
