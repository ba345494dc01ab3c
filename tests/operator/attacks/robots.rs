use super::Table;
pub async fn cases() -> Table {
    Table::default()
}
