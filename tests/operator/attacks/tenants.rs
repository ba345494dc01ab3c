use super::Table;
pub async fn out_of_reach() -> Table {
    Table::default()
}
pub async fn within_reach() -> Table {
    Table::default()
}
